/**
 * Whole lists of what etcd has: the first one fails, or there is a second one, because the watch was lost together with
 * etcd's history, and what happened in between shows only there. Real etcd client logic on an etcd in memory, the whole loop
 * on a fake kernel.
 */
import { assert, assertEquals } from "@std/assert";
import { describeSubnets } from "../../src/model/lease.ts";
import { V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";
import { EtcdModel } from "../support/etcd_model.ts";

const PEER = "/n/subnets/10.1.7.0-24";

/** A host on an etcd that knows one peer; started by the test. */
function hostOn(cluster: Cluster): { host: TestHost; model: EtcdModel } {
  const { clock, random } = cluster;
  const model = new EtcdModel(clock);
  model.put("/n/config", JSON.stringify(config));
  model.put(PEER, peer("192.168.64.12", "02:00:00:00:00:12"));
  const host = cluster.host(11);
  const told = { prefix: "/n", previous: { v4: null, v6: null }, clock, random };
  host.store = new V3Store(model.connect(), told);
  return { host, model };
}

/** A host that runs, and how to have it list everything again after `meanwhile`. */
async function started(cluster: Cluster) {
  const { host, model } = hostOn(cluster);
  await host.start();
  await cluster.advance(2_000);
  const relist = async (meanwhile: () => void) => {
    model.breakWatches();
    meanwhile();
    model.put("/elsewhere", "x");
    model.compact();
    await cluster.advance(20_000);
  };
  return { host, model, relist };
}

/** Once the host has its lease and runs, every list fails, until told otherwise. */
function refuseLists(host: TestHost, model: EtcdModel): () => void {
  model.inject = (call) => call === "range" && host.overlay !== null ? "fail" : null;
  return () => model.inject = () => null;
}

function peer(publicIp: string, mac: string): string {
  const data = { VNI: 1, VtepMAC: mac };
  return JSON.stringify({ PublicIP: publicIp, PublicIPv6: null, BackendType: "vxlan", BackendData: data });
}

/** Where frames to the peer's subnet go. */
function wayToPeer(host: TestHost): unknown[] {
  const near = host.kernel.get("neighbour", "flannel.1 10.1.7.0");
  const mac = near?.kind === "neighbour" ? near.fields.mac : undefined;
  const entry = host.kernel.get("fdb", `flannel.1 ${mac}`);
  return [mac, entry?.kind === "fdb" ? entry.fields.destination : undefined, host.keys("fdb").length];
}

Deno.test("a second list gives a peer its new address and MAC, and takes the old entries away", async () => {
  await using cluster = new Cluster();
  const { host, model, relist } = await started(cluster);
  assertEquals(wayToPeer(host), ["02:00:00:00:00:12", "192.168.64.12", 1]);
  await relist(() => model.put(PEER, peer("192.168.64.99", "02:00:00:00:00:99")));
  assertEquals(wayToPeer(host), ["02:00:00:00:00:99", "192.168.64.99", 1]);
  await relist(() => model.put(PEER, peer("192.168.64.98", "02:00:00:00:00:99")));
  assertEquals(wayToPeer(host), ["02:00:00:00:00:99", "192.168.64.98", 1], "the address alone");
});

Deno.test("a second list with our own subnet in it is no news of us", async () => {
  await using cluster = new Cluster();
  const { host, model, relist } = await started(cluster);
  const own = describeSubnets(host.overlay!.lease.subnets);
  const { revision } = model;
  const [objects, file] = [host.kernel.objects(), await host.subnetFile.read()];
  const said = host.lines.length;
  for (const mac of ["02:00:00:00:00:98", "02:00:00:00:00:99"]) {
    await relist(() => model.put(PEER, peer("192.168.64.12", mac)));
    assertEquals(wayToPeer(host)[0], mac, "it was listed again");
    assertEquals(describeSubnets(host.overlay!.lease.subnets), own);
    assertEquals(host.overlay!.readiness(), { ready: true, reasons: [], notes: [] });
  }
  const ofPeer = /^(neighbour|fdb) /;
  const others = (all: typeof objects) =>
    all.filter(({ kind }) => !ofPeer.test(`${kind} `)).map((o) => JSON.stringify(o)).sort();
  assertEquals(others(host.kernel.objects()), others(objects));
  assertEquals(await host.subnetFile.read(), file);
  assertEquals(model.revision, revision + 4, "we wrote nothing");
  const news = host.lines.slice(said).filter((line) =>
    line.includes(own) || /\bour (lease|subnet)/.test(line)
  );
  assertEquals(news, []);
  assert([...model.keys.keys()].some((key) => key === `/n/subnets/${own.replace("/", "-")}`));
});

Deno.test("while the first list fails the host says that it is not ready, and goes on once it is read", async () => {
  await using cluster = new Cluster();
  const { host, model } = hostOn(cluster);
  const admit = refuseLists(host, model);
  await host.start();
  await cluster.advance(60_000);
  assertEquals(host.failure, null);
  host.kernel.emit(new Set(["lost"]));
  await cluster.advance(10_000);
  const { ready, reasons } = host.overlay!.readiness();
  assertEquals([ready, reasons[0]], [false, "the leases of the store were not read yet"]);
  admit();
  await cluster.advance(20_000);
  assertEquals(host.overlay!.readiness(), { ready: true, reasons: [], notes: [] });
  assertEquals(wayToPeer(host)[1], "192.168.64.12");
});

Deno.test("what a peer left that vanished while we were down goes once all was read, and not before", async () => {
  await using cluster = new Cluster();
  const { host, model } = await started(cluster);
  await host.stop();
  for (const key of [...model.keys.keys()].filter((key) => key.startsWith("/n/subnets/"))) model.delete(key);
  const { clock, random } = cluster;
  const told = { prefix: "/n", previous: host.subnetFile.previous.subnets, clock, random };
  host.store = new V3Store(model.connect(), told);
  const admit = refuseLists(host, model);
  await host.start();
  await cluster.advance(60_000);
  assert(host.overlay !== null, "it holds a lease");
  host.kernel.emit(new Set(["lost"]));
  await cluster.advance(10_000);
  const standing = () => [host.keys("route"), host.keys("neighbour"), host.keys("fdb")].map((k) => k.length);
  assertEquals(standing(), [1, 1, 1], "nothing was read, so nothing goes");
  admit();
  await cluster.advance(20_000);
  assertEquals(standing(), [0, 0, 0], "a whole list was read");
});

Deno.test("a list that comes while a round is being worked out is nothing that this round goes by", async () => {
  await using cluster = new Cluster();
  const { host, model } = await started(cluster);
  await host.stop();
  const { clock, random } = cluster;
  const told = { prefix: "/n", previous: host.subnetFile.previous.subnets, clock, random };
  host.store = new V3Store(model.connect(), told);
  const admit = refuseLists(host, model);
  await host.start();
  await cluster.advance(2_000);
  // A round that has looked at what is known of peers, and asks the kernel something else before it goes on.
  const asked = Promise.withResolvers<void>();
  const occupied = host.kernel.occupied.bind(host.kernel);
  let asks = 0;
  host.kernel.occupied = (owner) => (asks++, asked.promise.then(() => occupied(owner)));
  const deleted: string[] = [];
  host.kernel.refuse = ({ verb, object }) => {
    if (verb === "delete") deleted.push(`${object.kind} ${object.key}`);
    return null;
  };
  host.kernel.emit(new Set(["lost"]));
  await cluster.advance(1_000);
  assertEquals(asks, 1, "such a round is under way");
  admit();
  await cluster.advance(20_000);
  asked.resolve();
  await cluster.advance(20_000);
  assertEquals(deleted, []);
  assertEquals(wayToPeer(host)[1], "192.168.64.12");
  assert(host.overlay!.readiness().ready);
});

Deno.test("an etcd that does not answer at start is said once, each other reason once more", async () => {
  await using cluster = new Cluster();
  const { host, model } = hostOn(cluster);
  model.startOutage("no route to host");
  await host.start();
  await cluster.advance(300_000);
  const said = () =>
    host.said(/no route to host|no leader/).map((line) => /no \w+( to host)?/.exec(line)![0]);
  assertEquals(said(), ["no route to host"]);
  for (const why of ["no leader", "no route to host", "no leader"]) {
    model.startOutage(why);
    await cluster.advance(300_000);
  }
  assertEquals(said(), ["no route to host", "no leader"]);
  model.endOutage();
  await cluster.advance(20_000);
  assert(host.overlay!.readiness().ready);
});
