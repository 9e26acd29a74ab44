/** Store data is untrusted: which leases become peers, and why others do not. */
import { assertEquals, assertMatch } from "@std/assert";
import { judgePeers } from "../../src/plan/peers.ts";
import type { Lease } from "../../src/model/lease.ts";
import { parseIp } from "../../src/model/ip.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { host, lease } from "../support/hosts.ts";
import { claimant } from "../support/identity.ts";

const self = host({ Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } });
const good = () => lease("10.1.16.0/24", "192.168.64.12", "02:00:00:00:00:12");

function reasons(...leases: Lease[]): string[] {
  return judgePeers(self, leases, "vxlan").refused.map((r) => r.reason);
}

Deno.test("peers: a good lease is accepted, our own is passed over", () => {
  const own = lease("10.1.15.0/24", "192.168.64.11", "02:00:00:00:00:11");
  const judged = judgePeers(self, [own, good()], "vxlan");
  assertEquals([judged.accepted.length, judged.refused.length], [1, 0]);
});

Deno.test("peers: what lies outside the network, overlaps us or claims our address is refused", () => {
  const mac = "02:00:00:00:00:99";
  const cases: [Lease, RegExp][] = [
    [lease("10.2.16.0/24", "192.168.64.12", mac), /10\.2\.16\.0\/24 is not inside the network/],
    [lease("10.1.0.0/16", "192.168.64.12", mac), /is not inside the network/],
    [lease("10.1.14.0/23", "192.168.64.12", mac), /overlaps our own 10\.1\.15\.0\/24/],
    [lease("10.1.15.128/25", "192.168.64.12", mac), /overlaps our own/],
    [lease("10.1.16.0/24", "192.168.64.11", mac), /public IP 192\.168\.64\.11 is our own/],
    [lease("10.1.16.0/24", "10.1.3.4", mac), /lies inside 10\.1\.3\.0\/24, a subnet that can be leased/],
    [lease("10.1.16.0/24", "127.0.0.1", mac), /not a unicast address/],
    [lease("10.1.16.0/24", "239.1.1.1", mac), /not a unicast address/],
    [lease("10.1.16.0/24", "255.255.255.255", mac), /not a unicast address/],
    [lease("10.1.16.0/24", "0.1.2.3", mac), /not a unicast address/],
    [
      lease("10.1.16.0/24", "192.168.64.12", mac, { backendType: "host-gw" }),
      /backend is "host-gw", ours "vxlan"/,
    ],
  ];
  for (const [peer, reason] of cases) assertMatch(reasons(peer)[0] ?? "accepted", reason);
});

Deno.test("peers: of two that claim one subnet the older counts; two with one public IP both do", () => {
  const older = good();
  const overlapping = lease("10.1.16.128/25", "192.168.64.13", "02:00:00:00:00:13");
  const wider = lease("10.1.16.0/23", "192.168.64.14", "02:00:00:00:00:14");
  const sameIp = lease("10.1.40.0/24", "192.168.64.12", "02:00:00:00:00:15");
  const judged = judgePeers(self, [older, overlapping, wider, sameIp], "vxlan");
  assertEquals(judged.accepted, [older, sameIp]);
  assertEquals(judged.refused.length, 2);
  for (const { reason } of judged.refused) assertMatch(reason, /older lease/);
});

Deno.test("peers: what can't have its objects claims nothing", () => {
  const [bad, better] = [good(), lease("10.1.16.0/25", "192.168.64.13", "02:00:00:00:00:13")];
  const refusal = { reason: "no usable VtepMAC", byConfiguration: false };
  const judged = judgePeers(self, [bad, better], "vxlan", (one) => one === bad ? refusal : null);
  assertEquals(judged, { accepted: [better], refused: [{ lease: bad, ...refusal }] });
});

Deno.test("peers: behind a NAT, our address on the wire is ours as well as the one that we publish", () => {
  const translated = { ...self, publicIp: parseIp("203.0.113.7") };
  const claims = ["203.0.113.7", "192.168.64.11"].map((publicIp, i) =>
    lease(`10.1.${20 + i}.0/24`, publicIp, mac(i))
  );
  const { refused } = judgePeers(translated, claims, "vxlan");
  assertEquals(refused.map(({ reason }) => / is our own$/.test(reason)), [true, true]);
});

Deno.test("peers: of IPv6 what is loopback, IPv4 in disguise or multicast is refused", () => {
  const dual = host({
    Network: "10.1.0.0/16",
    EnableIPv6: true,
    IPv6Network: "fd00:1::/48",
    Backend: { Type: "vxlan" },
  });
  for (const text of ["::1", "::ffff:127.0.0.1", "::192.0.2.1", "ff02::1"]) {
    const peer = lease("10.1.16.0/24", "192.168.64.12", mac(0));
    const subnets = { ...peer.subnets, v6: parsePrefix("fd00:1:0:16::/64") };
    const claim = { ...peer, subnets, record: { ...peer.record, publicIpv6: parseIp(text) } };
    assertMatch(judgePeers(dual, [claim], "vxlan").refused[0]?.reason ?? "accepted", /not a unicast address/);
  }
});

function mac(i: number): string {
  return `02:00:00:00:01:0${i}`;
}

const partly = host(
  {
    Network: "172.16.0.0/12",
    SubnetMin: "172.20.0.0",
    SubnetMax: "172.29.255.0",
    Backend: { Type: "vxlan" },
  },
  "172.20.7.0/24",
  {
    publicIp: parseIp("172.31.0.71"),
    underlay: { device: "eth0", mtu: 1500, v4: parseIp("172.31.0.71"), v6: null, route: () => null },
  },
);

Deno.test("peers: hosts may live inside the network where nothing can be leased", () => {
  const peers = [
    lease("172.20.8.0/24", "172.31.0.72", mac(0)),
    lease("172.29.255.0/24", "172.19.255.255", mac(1)),
    lease("172.24.0.0/24", "172.30.0.0", mac(2)),
  ];
  assertEquals(judgePeers(partly, peers, "vxlan"), { accepted: peers, refused: [] });
});

Deno.test("peers: of IPv6, too, only what can be leased is refused", () => {
  const six = host({
    EnableIPv4: false,
    EnableIPv6: true,
    IPv6Network: "fd00::/16",
    IPv6SubnetMin: "fd00:1::",
    IPv6SubnetMax: "fd00:1:0:ffff::",
    Backend: { Type: "vxlan" },
  }, "fd00:1:0:5::/64");
  const peer = (subnet: string, publicIp: string): Lease => {
    const { record, ...rest } = lease("10.1.1.0/24", "192.168.64.12", mac(0));
    const subnets = { v4: null, v6: parsePrefix(subnet) };
    return { ...rest, subnets, record: { ...record, publicIp: null, publicIpv6: parseIp(publicIp) } };
  };
  const good = peer("fd00:1:0:6::/64", "fd00:2::1");
  const judged = judgePeers(six, [good, peer("fd00:1:0:7::/64", "fd00:1:0:8::1")], "vxlan");
  assertEquals(judged.accepted, [good]);
  assertMatch(judged.refused[0]!.reason, /lies inside fd00:1:0:8::\/64, .*give IPv6SubnetMin/);
});

Deno.test("peers: an address inside what can be leased, or is, is refused, and a subnet around one", () => {
  const cases: [Lease[], RegExp, boolean][] = [
    [[lease("172.20.8.0/24", "172.20.0.5", mac(0))], /172\.20\.0\.5 lies inside 172\.20\.0\.0\/24/, true],
    [[lease("172.20.8.0/24", "172.29.255.9", mac(0))], /lies inside 172\.29\.255\.0\/24/, true],
    [[lease("172.30.8.0/24", "172.30.8.9", mac(0))], /inside the leased subnet 172\.30\.8\.0\/24/, false],
    [[lease("172.31.0.64/26", "172.31.0.200", mac(0))], /has our own address 172\.31\.0\.71 in it/, false],
    [
      [lease("172.20.8.0/24", "172.31.0.200", mac(0)), lease("172.31.0.192/26", "172.31.0.72", mac(1))],
      /172\.31\.0\.192\/26 has the public IP of an older lease in it/,
      false,
    ],
    [
      [lease("172.31.0.192/26", "172.31.0.72", mac(0)), lease("172.20.8.0/24", "172.31.0.200", mac(1))],
      /172\.31\.0\.200 lies inside 172\.31\.0\.192\/26, which an older lease has/,
      false,
    ],
  ];
  for (const [leases, reason, byConfiguration] of cases) {
    const [refused] = judgePeers(partly, leases, "vxlan").refused;
    assertMatch(refused?.reason ?? "accepted", reason);
    assertEquals(refused?.byConfiguration, byConfiguration, refused?.reason);
  }
});

Deno.test("peers: of one host's records the youngest counts, the others are no refusal; our own are left out", () => {
  const of = (name: string, each: Lease): Lease => {
    const { host, run } = claimant(name);
    return { ...each, record: { ...each.record, mark: { host, run, turn: 1, after: null } } };
  };
  const left = of("moved", lease("10.1.20.0/24", "192.168.64.20", mac(0)));
  const unmarked = lease("10.1.21.0/24", "192.168.64.20", mac(1));
  const other = of("other", lease("10.1.22.0/24", "192.168.64.22", mac(2)));
  const now = of("moved", lease("10.1.23.0/24", "192.168.64.23", mac(0)));
  // Ours from before we moved: its address may be our own.
  const ours = of("host", lease("10.1.24.0/24", "192.168.64.11", mac(3)));
  const all = [left, unmarked, other, now, ours];
  assertEquals(judgePeers(self, all, "vxlan"), { accepted: [unmarked, other, now], refused: [] });
  assertEquals(judgePeers(self, all.toReversed(), "vxlan").refused, []);
  // Two hosts that are not one are refused as before, whatever their marks say of after whom they came.
  const trial = of("guest", lease("10.1.25.0/24", "192.168.64.11", mac(4)));
  assertMatch(reasons(trial)[0] ?? "accepted", /public IP 192\.168\.64\.11 is our own/);
});

Deno.test("peers: what can't be read any more leaves no record of its host behind, nor is it left behind", () => {
  const of = (subnet: string, created: number, doubtful?: true): Lease => {
    const { host, run } = claimant("one");
    const plain = lease(subnet, "192.168.64.20", mac(0));
    const record = { ...plain.record, mark: { host, run, turn: 1, after: null } };
    return { ...plain, record, created, ...(doubtful && { doubtful }) };
  };
  const stands = of("10.1.20.0/24", 1);
  const spoilt = of("10.1.21.0/24", 2, true);
  assertEquals(judgePeers(self, [stands, spoilt], "vxlan").accepted, [stands, spoilt]);
  // Of two that stand, and of two that don't, the younger counts as ever.
  const before = of("10.1.22.0/24", 0, true);
  assertEquals(judgePeers(self, [of("10.1.23.0/24", 0), stands, before, spoilt], "vxlan"), {
    accepted: [stands, spoilt],
    refused: [],
  });
});
