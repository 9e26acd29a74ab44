/** Store data is untrusted: which leases become peers, and why others do not. */
import { assertEquals, assertMatch } from "@std/assert";
import { judgePeers } from "../../src/control/peers.ts";
import type { Lease } from "../../src/model/lease.ts";
import { host, lease } from "../support/hosts.ts";

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
    [lease("10.1.16.0/24", "10.1.3.4", mac), /lies inside the network/],
    [lease("10.1.16.0/24", "127.0.0.1", mac), /not a unicast address/],
    [lease("10.1.16.0/24", "239.1.1.1", mac), /not a unicast address/],
    [
      lease("10.1.16.0/24", "192.168.64.12", mac, { backendType: "host-gw" }),
      /backend is "host-gw", ours "vxlan"/,
    ],
  ];
  for (const [peer, reason] of cases) assertMatch(reasons(peer)[0] ?? "accepted", reason);
});

Deno.test("peers: of two that claim one subnet or one public IP the older counts", () => {
  const older = good();
  const overlapping = lease("10.1.16.128/25", "192.168.64.13", "02:00:00:00:00:13");
  const wider = lease("10.1.16.0/23", "192.168.64.14", "02:00:00:00:00:14");
  const sameIp = lease("10.1.40.0/24", "192.168.64.12", "02:00:00:00:00:15");
  const judged = judgePeers(self, [older, overlapping, wider, sameIp], "vxlan");
  assertEquals(judged.accepted, [older]);
  for (const { reason } of judged.refused) assertMatch(reason, /older lease/);
});
