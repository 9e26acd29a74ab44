/**
 * What random schedules have found (tests/simulation), each told again as a story of its own, short enough to be understood.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { noSubnetFile } from "../../src/control/subnet_files.ts";
import { Failure } from "../../src/model/errors.ts";
import { formatLeaseKey } from "../../src/model/lease_codec.ts";
import { describeSubnets } from "../../src/model/lease.ts";
import { route } from "../../src/model/objects.ts";
import { parseIp } from "../../src/model/ip.ts";
import { parsePrefix } from "../../src/model/prefix.ts";
import { V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";
import { EtcdModel } from "../support/etcd_model.ts";

const key = (host: TestHost) => formatLeaseKey(host.overlay!.lease.subnets);
const subnet = (host: TestHost) => describeSubnets(host.overlay!.lease.subnets);

Deno.test("a kernel that does not answer ends the start with a sentence, not as a fault of the program", async () => {
  await using cluster = new Cluster();
  const a = cluster.host(11);
  a.kernel.unreadable = () => "no buffer space";
  await a.start();
  assertEquals(a.failure, "read the kernel's state: no buffer space");
});

Deno.test("our own record overwritten by what nobody can read is noticed at once: we move", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const was = key(a);
  cluster.store.put(was, "{broken");
  await cluster.advance(2_000);
  assert(key(a) !== was);
  assertEquals(cluster.store.get(was), "{broken");
  assert(a.overlay!.readiness().ready);
});

Deno.test("a host that left an unreadable record behind and moved is found by its peers", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  cluster.store.put(key(a), "{broken");
  await cluster.advance(2_000);
  assert(b.keys("route").includes(subnet(a)), b.lines.join("\n"));
});

Deno.test("an address that changed while the daemon was down does not lock the host out of its own record", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  const was = key(a);
  await a.stop();
  const [eth0] = a.kernel.underlay.interfaces;
  const address = { ...eth0!.addresses[0]!, address: parseIp("192.168.64.77")! };
  a.kernel.underlay.interfaces = [{ ...eth0!, addresses: [address] }];
  await a.start();
  await cluster.advance(2_000);
  assertEquals([key(a), cluster.store.keys().length], [was, 2]);
  const [entry] = b.kernel.objects().filter((o) => o.kind === "fdb");
  assertEquals(entry?.fields.destination, "192.168.64.77");
});

Deno.test("without its subnet file a host finds its subnet on its device", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const was = key(a);
  await a.stop();
  cluster.store.delete(was);
  a.subnetFile = noSubnetFile();
  await a.start();
  await cluster.advance(1_000);
  assertEquals(key(a), was);
});

Deno.test("a configuration that could not be applied for the moment is tried again", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  let failing = true;
  a.kernel.unreadable = () => failing ? "no buffer space" : null;
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "vxlan", VNI: 7 } }));
  await cluster.advance(1_000);
  assertMatch(a.overlay!.readiness().reasons.join(), /no buffer space; the old network goes on/);
  failing = false;
  await cluster.advance(10_000);
  assertEquals(a.keys("link"), ["eth0", "flannel.7"]);
  assert(a.overlay!.readiness().ready);
});

Deno.test("a change of the VNI takes routes over in place: nothing is refused, nothing has to be tried again", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  await cluster.started(12);
  await cluster.advance(1_000);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "vxlan", VNI: 7 } }));
  await cluster.advance(2_000);
  assertEquals(a.said(/trying again/), []);
  assertEquals(a.kernel.objects().find((o) => o.kind === "route")?.fields.device, "flannel.7");
});

Deno.test("a machine that slept for days in the middle of a round does not pause for days after it", async () => {
  await using cluster = new Cluster();
  const [a, b] = [await cluster.started(11), await cluster.started(12)];
  await cluster.advance(1_000);
  const asleep = Promise.withResolvers<void>();
  a.kernel.pause = () => asleep.promise;
  a.kernel.emit(new Set(["route"]));
  await cluster.advance(1_000);
  cluster.clock.skip(3 * 86_400_000);
  a.kernel.pause = () => Promise.resolve();
  asleep.resolve();
  await cluster.advance(60_000);
  a.kernel.remove("route", subnet(b));
  await cluster.advance(6_000);
  assertEquals(a.keys("route"), [subnet(b)]);
});

Deno.test("a store that refuses a running daemon does not end it", async () => {
  await using cluster = new Cluster();
  const model = new EtcdModel(cluster.clock);
  model.put("/n/config", JSON.stringify(config));
  const a = cluster.host(11);
  const { clock, random } = cluster;
  a.store = new V3Store(model.connect(), { prefix: "/n", previous: { v4: null, v6: null }, clock, random });
  await a.start();
  await cluster.advance(1_000);
  model.inject = (call) => {
    if (call !== "watch") throw new Failure("etcd refuses us: permission denied");
    return null;
  };
  model.delete(`/n/subnets/${key(a)}`);
  await cluster.advance(120_000);
  assertEquals([a.failure, a.said(/permission denied/).length > 0], [null, true]);
  model.inject = () => null;
  await cluster.advance(120_000);
  assert(model.keys.has(`/n/subnets/${key(a)}`));
  assert(a.overlay!.readiness().ready);
});

/** Starts on what was left of another network: five routes, and the subnet file that tells of it. */
async function startedOnRemains(cluster: Cluster, pause = () => Promise.resolve()): Promise<TestHost> {
  const a = cluster.host(11);
  a.kernel.pause = pause;
  for (const n of [1, 2, 3, 4, 5]) {
    const destination = parsePrefix(`10.77.${n}.0/24`)!;
    a.kernel.put(route({ destination, gateway: parseIp(`192.168.64.${n}`), device: "eth0", onlink: false }));
  }
  const subnets = { v4: parsePrefix("10.77.9.0/24"), v6: null };
  a.subnetFile = { ...noSubnetFile(), previous: { networks: [parsePrefix("10.77.0.0/16")!], subnets } };
  await a.start();
  return a;
}

/** After the first round; the next comes within five seconds. */
async function remainsThenGo(cluster: Cluster, a: TestHost): Promise<void> {
  assertEquals(a.keys("route").length, 5, "so much at once is looked at twice");
  assertEquals(await a.subnetFile.read(), null);
  await cluster.advance(5_000);
  assertEquals(a.keys("route"), []);
  assertMatch((await a.subnetFile.read())!, /FLANNEL_NETWORK=10\.1\.0\.0\/16/);
}

Deno.test("the old subnet file stays until nothing of the old network is left to be forgotten", async () => {
  await using cluster = new Cluster();
  const a = await startedOnRemains(cluster);
  await cluster.advance(3_000);
  await remainsThenGo(cluster, a);
});

Deno.test("a machine that slept in the middle of its first round keeps the old subnet file for the next one", async () => {
  await using cluster = new Cluster();
  let calls = 0;
  // The start reads and applies, then the first round does.
  const a = await startedOnRemains(
    cluster,
    () => calls++ === 3 ? cluster.clock.sleep(40_000) : Promise.resolve(),
  );
  await cluster.advance(43_000);
  await remainsThenGo(cluster, a);
});

Deno.test("a changed underlay that is slow to be looked at does not undo a change of the backend meanwhile", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const slow = Promise.withResolvers<void>();
  let reads = 0;
  a.kernel.pause = () => reads++ === 0 ? slow.promise : Promise.resolve();
  const [eth0] = a.kernel.underlay.interfaces;
  a.kernel.underlay.interfaces = [{ ...eth0!, mtu: 1400 }];
  a.kernel.emit(new Set(["link"]));
  await cluster.advance(100);
  assertEquals(reads, 1);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "host-gw" } }));
  await cluster.advance(1_000);
  slow.resolve();
  await cluster.advance(10_000);
  assertEquals(a.keys("link"), ["eth0"]);
  assertMatch((await a.subnetFile.read())!, /FLANNEL_MTU=1400/);
});

Deno.test("a lease that is stolen while its renewal is under way is noticed", async () => {
  await using cluster = new Cluster();
  const { clock, random } = cluster;
  const model = new EtcdModel(clock);
  model.put("/n/config", JSON.stringify(config));
  const remote = model.connect();
  const a = cluster.host(11, { firewallPeriodMs: 3_600_000 });
  a.store = new V3Store(remote, { prefix: "/n", previous: { v4: null, v6: null }, clock, random });
  await a.start();
  await cluster.advance(1_000);
  const was = key(a);
  const keepAlive = remote.keepLeaseAlive.bind(remote);
  remote.keepLeaseAlive = async (id) => {
    const seconds = await keepAlive(id);
    model.put(`/n/subnets/${was}`, '{"PublicIP":"192.168.64.99","PublicIPv6":null}');
    await clock.sleep(100);
    return seconds;
  };
  await cluster.advance(23 * 3_600_000);
  assert(key(a) !== was);
});

Deno.test("a lease that is stolen before its taking is told is noticed", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11, { firewallPeriodMs: 3_600_000 });
  const thief = '{"PublicIP":"192.168.64.99","PublicIPv6":null}';
  const acquire = a.store.acquire.bind(a.store);
  let stolen = "";
  a.store.acquire = async (claim, signal) => {
    const lease = await acquire(claim, signal);
    if (stolen === "") {
      stolen = formatLeaseKey(lease.subnets);
      cluster.store.put(stolen, thief, 3_600_000);
      await cluster.clock.sleep(100);
    }
    return lease;
  };
  cluster.store.put(key(a), thief, 3_600_000);
  await cluster.advance(10_000);
  assert(stolen !== "" && key(a) !== stolen);
  assertEquals(a.overlay!.readiness().reasons, []);
});

Deno.test("a configuration that is taken back while it is being applied does not stay", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const slow = Promise.withResolvers<void>();
  a.kernel.pause = () => slow.promise;
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "host-gw" } }));
  await cluster.advance(100);
  cluster.store.setConfig(JSON.stringify(config));
  await cluster.advance(1_000);
  slow.resolve();
  await cluster.advance(10_000);
  assertEquals(a.keys("link"), ["eth0", "flannel.1"]);
});

Deno.test("a change to udp takes a name for the tunnel's device that nobody has by then", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const fields = { type: "tun", alias: "denim:other", mtu: 1472, up: true };
  a.kernel.put({ kind: "link", key: "flannel0", fields });
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "udp" } }));
  await cluster.advance(10_000);
  assertEquals(a.keys("link"), ["eth0", "flannel0", "flannel1"]);
  assertEquals(a.overlay!.readiness().reasons, []);
});

Deno.test("a configuration that is taken back while it is tried again does not stay", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const slow = Promise.withResolvers<void>();
  let failing = true;
  a.kernel.unreadable = () => failing ? "no buffer space" : null;
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "host-gw" } }));
  await cluster.advance(1_000);
  failing = false;
  a.kernel.pause = () => slow.promise;
  await cluster.advance(6_000);
  cluster.store.setConfig(JSON.stringify(config));
  await cluster.advance(1_000);
  slow.resolve();
  await cluster.advance(10_000);
  assertEquals(a.keys("link"), ["eth0", "flannel.1"]);
});

Deno.test("a configuration that could not be applied, and was taken back meanwhile, is no reason not to be ready", async () => {
  await using cluster = new Cluster();
  const a = await cluster.started(11);
  const slow = Promise.withResolvers<void>();
  a.kernel.unreadable = () => "no buffer space";
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "host-gw" } }));
  await cluster.advance(1_000);
  a.kernel.pause = () => slow.promise;
  await cluster.advance(6_000);
  cluster.store.setConfig(JSON.stringify(config));
  await cluster.advance(1_000);
  slow.resolve();
  await cluster.advance(1_000);
  a.kernel.unreadable = () => null;
  await cluster.advance(60_000);
  assertEquals(a.overlay!.readiness().reasons, []);
});
