/** The whole loop on a fake kernel, a memory store and a clock that stands still: what goes wrong, and what comes of it. */
import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { formatLeaseKey } from "../../src/model/lease_codec.ts";
import { describeSubnets } from "../../src/model/lease.ts";
import { type ObjectOf, route } from "../../src/model/objects.ts";
import { parseIp } from "../../src/model/ip.ts";
import { formatPrefix, parsePrefix } from "../../src/model/prefix.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";

const key = (host: TestHost) => formatLeaseKey(host.overlay!.lease.subnets);
const subnet = (host: TestHost) => describeSubnets(host.overlay!.lease.subnets);

/** The route that one host has to another's subnet, whosever it is. */
function routeTo(from: TestHost, to: TestHost): ObjectOf<"route"> {
  const way = from.kernel.get("route", subnet(to));
  assert(way?.kind === "route");
  return way;
}

Deno.test("two hosts find each other, and both are ready", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  await cluster.advance(1_000);
  assertEquals(a.keys("route"), [subnet(b)]);
  assertEquals(b.keys("route"), [subnet(a)]);
  assertEquals(a.overlay!.readiness(), { ready: true, reasons: [], notes: [] });
  assertEquals(a.keys("chain").length, 2);
  assertMatch(
    (await a.subnetFile.read())!,
    /^FLANNEL_NETWORK=10\.1\.0\.0\/16\nFLANNEL_SUBNET=10\.1\.\d+\.1\/24\n/,
  );
});

Deno.test("a peer that leaves loses its objects; one that comes back gets them again", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  const peer = key(b);
  const value = cluster.store.get(peer)!;
  await b.stop();
  cluster.store.delete(peer);
  await cluster.advance(1_000);
  assertEquals([a.keys("route"), a.keys("fdb"), a.keys("neighbour")], [[], [], []]);
  cluster.store.put(peer, value);
  await cluster.advance(1_000);
  assertEquals(a.keys("route").length, 1);
});

Deno.test("a peer that vanished while we were down is pruned at start; nothing goes before the snapshot", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  const peer = key(b);
  await b.stop();
  await a.stop();
  cluster.store.delete(peer);
  assertEquals(a.keys("route").length, 1);
  cluster.store.startOutage();
  await a.start();
  await cluster.advance(60_000);
  assertEquals(a.keys("route").length, 1, "no snapshot, no deletion");
  cluster.store.endOutage();
  await cluster.advance(20_000);
  assertEquals(a.keys("route"), []);
});

Deno.test("what somebody deletes comes back at once: route, neighbour, FDB entry, jump, the device itself", async () => {
  await using cluster = new Cluster();
  const [a] = [await cluster.started(11), await cluster.started(12)];
  await cluster.advance(1_000);
  const before = a.kernel.objects().map((o) => `${o.kind} ${o.key}`).sort();
  for (const kind of ["route", "neighbour", "fdb", "address", "jump", "link"] as const) {
    const victim = a.keys(kind).filter((k) => k !== "eth0")[0]!;
    a.kernel.remove(kind, victim);
    assert(a.kernel.get(kind, victim) === undefined, `${kind} is gone`);
    await cluster.advance(200);
    assertEquals(a.kernel.objects().map((o) => `${o.kind} ${o.key}`).sort(), before, kind);
    assert(a.said(new RegExp(`repaired ${kind}`)).length > 0, `the repair of a ${kind} is said`);
  }
});

Deno.test("a foreign route stays, is reported as in the way, and does not keep others from being made", async () => {
  await using cluster = new Cluster();
  const b = await cluster.started(12);
  const a = cluster.host(11);
  const theirs = route({
    destination: parsePrefix(subnet(b))!,
    gateway: parseIp("192.168.64.1"),
    device: "eth0",
    onlink: false,
  });
  a.kernel.put({ ...theirs, fields: { ...theirs.fields, protocol: 4 } });
  await a.start();
  await cluster.advance(2_000);
  assertEquals(routeTo(a, b).fields.gateway, "192.168.64.1");
  assertEquals(a.said(/not ours is in the way/).length, 1);
  const { ready, notes } = a.overlay!.readiness();
  assert(ready);
  assertMatch(notes.join(), /in the way/);
  a.kernel.remove("route", subnet(b));
  await cluster.advance(200);
  assertEquals(routeTo(a, b).fields.device, "flannel.1");
});

Deno.test("a failing object is tried again, keeps us unready and nothing else from being done", async () => {
  await using cluster = new Cluster();
  const [b, c] = [await cluster.started(12), await cluster.started(13)];
  const a = cluster.host(11);
  a.kernel.refuse = ({ object }) =>
    object.kind === "route" && object.key === subnet(b) ? "add route: no memory" : null;
  await a.start();
  await cluster.advance(3_000);
  assertEquals(a.keys("route"), [subnet(c)]);
  assertEquals(a.overlay!.readiness().ready, false);
  assertEquals(a.said(/no memory; trying again/).length, 1, "said once");
  a.kernel.refuse = () => null;
  await cluster.advance(60_000);
  assertEquals(a.keys("route").length, 2);
  assert(a.overlay!.readiness().ready);
});

Deno.test("a firewall that cannot be read keeps nothing of the network from being mended, and the other way round", async () => {
  await using cluster = new Cluster();
  const a = cluster.host(11);
  const read = a.kernel.read.bind(a.kernel);
  a.kernel.read = (owner, scope) =>
    scope.firewall ? Promise.reject(new Error("iptables-save: busy")) : read(owner, scope);
  await a.start();
  await cluster.started(12);
  await cluster.advance(5_000);
  assertEquals(a.keys("route").length, 1);
  assertEquals(a.said(/read back the firewall: iptables-save: busy/).length, 1);
  assertEquals(a.overlay!.readiness().reasons, ["read back the firewall: iptables-save: busy"]);
  assert(await a.subnetFile.read() !== null, "containers reach each other");
  a.kernel.read = (owner, scope) =>
    scope.network ? Promise.reject(new Error("no buffer space")) : read(owner, scope);
  await cluster.advance(60_000);
  assertEquals(a.keys("chain").length, 2);
});

Deno.test("a store out of reach leaves everything in place and the host ready, with the outage as a note", async () => {
  await using cluster = new Cluster();
  const seldom = { firewallPeriodMs: 3_600_000 };
  const [a, b] = [await cluster.started(11, seldom), await cluster.started(12, seldom)];
  cluster.store.startOutage();
  await cluster.advance(30 * 3_600_000);
  assertEquals(a.keys("route"), [subnet(b)]);
  const { ready, notes } = a.overlay!.readiness();
  assert(ready);
  assertMatch(notes.join(), /out of reach/);
  const [was, old] = [subnet(a), subnet(b)];
  cluster.store.endOutage();
  await cluster.advance(120_000);
  assertEquals([subnet(a), subnet(b)], [was, old], "both take the same subnet again");
  assertEquals(a.keys("route"), [subnet(b)]);
});

Deno.test("leases are renewed before they run out, for days", async () => {
  await using cluster = new Cluster();
  const seldom = { firewallPeriodMs: 3_600_000 };
  const [a, b] = [await cluster.started(11, seldom), await cluster.started(12, seldom)];
  for (let day = 0; day < 5; day++) await cluster.advance(24 * 3_600_000);
  assertEquals(a.keys("route"), [subnet(b)]);
  assert((cluster.store.ttl(key(a)) ?? 0) > 3_000_000);
  assert(a.said(/Lease renewed, new expiration/).length >= 4);
});

Deno.test("our key deleted: the same subnet is taken again and the data path stays", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const [was, tried] = [key(a), a.kernel.tried];
  cluster.store.delete(was);
  await cluster.advance(1_000);
  assertEquals(key(a), was);
  assert(cluster.store.get(was) !== null);
  assertEquals(a.kernel.tried, tried, "no operation on the kernel");
});

Deno.test("our key another's: theirs is left alone, we move and say so", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const was = key(a);
  const stolen =
    '{"PublicIP":"192.168.64.99","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:99"}}';
  cluster.store.put(was, stolen);
  await cluster.advance(2_000);
  assertEquals(cluster.store.get(was), stolen);
  assert(key(a) !== was);
  assertEquals(a.said(/docker has to be restarted/).length, 1);
  assertMatch(
    (await a.subnetFile.read())!,
    new RegExp(`FLANNEL_SUBNET=${subnet(a).replace(/0\/24$/, "1/24")}`),
  );
  assertEquals(a.keys("address"), [`flannel.1 ${subnet(a).replace("/24", "")}`]);
  assert(a.overlay!.readiness().ready);
});

Deno.test("a host that moves knows its bare firewall rules by the subnets of before and of now", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11, { layout: "legacy" });
  const read = a.kernel.read.bind(a.kernel);
  const known: string[] = [];
  a.kernel.read = (owner, scope) => {
    if (scope.firewall) known.push(`${owner.layout} ${owner.subnets.map(formatPrefix)}`);
    return read(owner, scope);
  };
  const was = subnet(a);
  cluster.store.put(key(a), '{"PublicIP":"192.168.64.99","BackendType":"vxlan","BackendData":{}}');
  await cluster.advance(1_000);
  assertEquals(known.at(-1), `legacy ${subnet(a)},${was}`);
  assertEquals(a.keys("rules"), ["iptables filter FORWARD", "iptables nat POSTROUTING"]);
  assertEquals(a.keys("chain"), []);
  await a.stop();
  await a.start();
  await cluster.advance(1_000);
  // The second time as the subnet file told it.
  assertEquals(known.at(-1), `legacy ${subnet(a)},${subnet(a)}`);
});

Deno.test("our key another's and no other to be had: not ready, with the reason, until there is one", async () => {
  const only = { SubnetMin: "10.1.5.0", SubnetMax: "10.1.5.0" };
  await using cluster = new Cluster(1, { ...config, ...only });
  const a = await cluster.started(11);
  assert(a.overlay!.readiness().ready);
  const own = key(a);
  cluster.store.put(own, '{"PublicIP":"192.168.64.99","PublicIPv6":null}');
  await cluster.advance(5_000);
  assertEquals(a.failure, null);
  const { ready, reasons } = a.overlay!.readiness();
  assertFalse(ready);
  assertMatch(reasons.join(), /our lease was lost/);
  cluster.store.delete(own);
  await cluster.advance(120_000);
  assertEquals(a.overlay!.readiness().reasons, []);
  assertEquals(key(a), own);
});

Deno.test("our key another's, with onLost exit: the run ends with a failure that says why", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11, { onLost: "exit" });
  cluster.store.put(key(a), '{"PublicIP":"192.168.64.99","PublicIPv6":null}');
  await cluster.advance(2_000);
  assertMatch(a.failure ?? "still running", /Lease has been revoked.*192\.168\.64\.99/);
});

Deno.test("one malformed record removes nobody, is said once and protects what its key had", async () => {
  await using cluster = new Cluster();
  const [a, b, c] = [await cluster.started(11), await cluster.started(12), await cluster.started(13)];
  const [kb, sb, sc] = [key(b), subnet(b), subnet(c)];
  await b.stop();
  cluster.store.put(kb, "{broken");
  cluster.store.put("nonsense", "{}");
  await cluster.advance(2_000);
  assertEquals(a.keys("route"), [sb, sc].sort());
  await a.stop();
  await a.start();
  await cluster.advance(2_000);
  assertEquals(a.keys("route"), [sb, sc].sort(), "protected after a restart too");
  assertEquals(a.keys("fdb").length, 2);
  assert(a.said(/read lease record "nonsense"/).length >= 1);
});

Deno.test("a store that suddenly lists few peers is asked a second time before they go", async () => {
  await using cluster = new Cluster();
  const peers: TestHost[] = [];
  for (let i = 0; i < 6; i++) peers.push(await cluster.started(20 + i));
  const a = await cluster.started(11);
  assertEquals(a.keys("route").length, 6);
  const values = peers.map((p) => [key(p), cluster.store.get(key(p))!] as const);
  for (const p of peers) await p.stop();
  for (const [k] of values) cluster.store.delete(k);
  await cluster.advance(4_000);
  assertEquals(a.keys("route").length, 6, "held for five seconds");
  assertMatch(a.overlay!.readiness().notes.join(), /\d+ deletions wait for a second look at the store/);
  await cluster.advance(4_000);
  assertEquals(a.keys("route"), []);
});

Deno.test("a changed address of the underlay is published and the device follows", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  const [eth0] = a.kernel.underlay.interfaces;
  const address = { ...eth0!.addresses[0]!, address: parseIp("192.168.64.77")! };
  a.kernel.underlay.interfaces = [{ ...eth0!, addresses: [address], mtu: 1400 }];
  a.kernel.emit(new Set(["address"]));
  await cluster.advance(2_000);
  const link = a.kernel.get("link", "flannel.1");
  assert(link?.kind === "link");
  assertEquals([link.fields.local, link.fields.mtu], ["192.168.64.77", 1350]);
  assertMatch((await a.subnetFile.read())!, /FLANNEL_MTU=1350/);
  const [entry] = b.kernel.objects().filter((o) => o.kind === "fdb");
  assertEquals(entry?.fields.destination, "192.168.64.77");
});

Deno.test("a changed configuration is applied where our subnet fits, refused where it does not", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const was = subnet(a);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "vxlan", VNI: 7 } }));
  await cluster.advance(8_000);
  assertEquals(a.keys("link"), ["eth0", "flannel.7"]);
  cluster.store.setConfig(JSON.stringify({ ...config, Network: "10.77.0.0/16" }));
  await cluster.advance(8_000);
  assertEquals([subnet(a), a.keys("link")], [was, ["eth0", "flannel.7"]]);
  assertFalse(a.overlay!.readiness().ready);
  assertMatch(a.overlay!.readiness().reasons.join(), /does not fit/);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "vxlan", VNI: 7 } }));
  await cluster.advance(8_000);
  assert(a.overlay!.readiness().ready);
});

Deno.test("a configuration that this host cannot run is refused, and the old network goes on", async () => {
  await using cluster = new Cluster();
  const a = cluster.host(11);
  a.flags.publicIp = parseIp("203.0.113.11");
  await a.start();
  await cluster.advance(2_000);
  assert(a.overlay!.readiness().ready);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "host-gw" } }));
  await cluster.advance(8_000);
  assertEquals(a.failure, null);
  assertMatch(a.overlay!.readiness().reasons.join(), /you're on a NAT.*the old network goes on/);
  assertEquals(a.keys("link"), ["eth0", "flannel.1"]);
});

Deno.test("a broken configuration at start is waited for, and said once", async () => {
  await using cluster = new Cluster(1, { Network: "10.1.0.0/29" });
  const a = await cluster.started(11);
  await cluster.advance(60_000);
  assertEquals(a.said(/Couldn't fetch network config/).length, 1);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "carrier-pigeon" } }));
  await cluster.advance(10_000);
  assertEquals(a.said(/unknown backend type: carrier-pigeon/).length, 1);
  cluster.store.setConfig(JSON.stringify(config));
  await cluster.advance(10_000);
  assert(a.overlay!.readiness().ready);
});

Deno.test("leaving releases the lease and takes everything of ours away, and nothing else", async () => {
  await using cluster = new Cluster();
  const [a] = [await cluster.started(11), await cluster.started(12)];
  await cluster.advance(1_000);
  const overlay = a.overlay!;
  const own = key(a);
  await a.stop();
  assertEquals(await overlay.leave(), []);
  assertEquals(cluster.store.get(own), null);
  assertEquals(a.kernel.objects().filter((o) => o.kind !== "sysctl").map((o) => o.key), ["eth0"]);
});

Deno.test("a configuration without a backend means udp, and a warning says so", async () => {
  await using cluster = new Cluster(1, { Network: "10.1.0.0/16" });
  const a = await cluster.started(11);
  assertEquals(a.failure, null);
  assertEquals(a.said(/^warn: the network configuration names no Backend: udp is taken/).length, 1);
  assertEquals(a.keys("link"), ["eth0", "flannel0"]);
  const tunnel = a.kernel.get("tunnel", "flannel0");
  assert(tunnel?.kind === "tunnel");
  assertEquals(tunnel.fields.port, 8285);
  // Upstream's udp names no type in its records, and takes none that has one.
  assertMatch(cluster.store.get(key(a))!, /"BackendType":""|^(?!.*BackendType)/);
});

Deno.test("a record that is refused for itself keeps nothing from the good one of the same host", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const record = (mac: string) =>
    JSON.stringify({
      PublicIP: "192.168.64.77",
      BackendType: "vxlan",
      BackendData: { VNI: 1, VtepMAC: mac },
    });
  cluster.store.put("10.1.200.0-24", record("nonsense"));
  cluster.store.put("10.1.201.0-24", record("02:00:00:00:00:77"));
  cluster.store.put("10.1.202.0-24", record("02:00:00:00:00:77"));
  await cluster.advance(2_000);
  assertEquals(a.keys("route"), ["10.1.201.0/24", "10.1.202.0/24"]);
  assertEquals(a.keys("fdb").length, 1, "two subnets of one host have one way to it");
  cluster.store.delete("10.1.201.0-24");
  await cluster.advance(2_000);
  assertEquals([a.keys("route"), a.keys("fdb").length], [["10.1.202.0/24"], 1]);
});
