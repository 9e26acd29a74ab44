/** The loop with hundreds of peers on a fake kernel: over the threshold, back below it, restarts, accidents. */
import { identityIn } from "../support/identity.ts";
import { assert, assertEquals } from "@std/assert";
import { FEW, MANY } from "../../src/plan/nexthops.ts";
import { preview } from "../../src/control/preview.ts";
import { underlayChooser } from "../../src/underlay/chooser.ts";
import { nexthop } from "../../src/model/objects.ts";
import { nexthopIds } from "../../src/model/nexthop_id.ts";
import { Cluster, type TestHost } from "../support/cluster.ts";

const network = {
  Network: "10.0.0.0/8",
  SubnetLen: 24,
  SubnetMin: "10.1.0.0",
  SubnetMax: "10.1.255.0",
  Backend: { Type: "vxlan" },
};
const subnet = (n: number) => `10.${16 + (n >> 8)}.${n & 255}.0`;
const hex = (n: number) => n.toString(16).padStart(2, "0");

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A host among peers that exist in the store alone. */
async function among(cluster: Cluster, peers: number): Promise<TestHost> {
  add(cluster, 0, peers);
  const host = await cluster.started(11);
  await cluster.advance(1_000);
  return host;
}

function add(cluster: Cluster, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    const BackendData = { VNI: 1, VtepMAC: `02:00:00:00:${hex(n >> 8)}:${hex(n & 255)}` };
    const PublicIP = `172.16.${n >> 8}.${n & 255}`;
    cluster.store.put(
      `${subnet(n)}-24`,
      JSON.stringify({ PublicIP, PublicIPv6: null, BackendType: "vxlan", BackendData }),
    );
  }
}

function remove(cluster: Cluster, from: number, to: number): void {
  for (let n = from; n < to; n++) cluster.store.delete(`${subnet(n)}-24`);
}

/** How many routes stand, how many of them by way of an object, and how many objects. */
function counts({ kernel }: TestHost): [routes: number, through: number, objects: number] {
  const all = kernel.objects();
  const routes = all.filter((o) => o.kind === "route");
  const through = routes.filter((o) => o.fields.nexthop !== null);
  for (const { key, fields } of through) {
    const hop = kernel.get("nexthop", String(fields.nexthop));
    assert(hop?.kind === "nexthop");
    assertEquals(`${hop.fields.gateway}/24`, key);
  }
  return [routes.length, through.length, all.filter((o) => o.kind === "nexthop").length];
}

Deno.test("a cluster that grows over the threshold: routes stay, and then lead through objects", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, MANY);
  assertEquals(counts(host), [MANY, 0, 0]);
  let fewest = MANY;
  host.kernel.refuse = ({ verb, object }) => {
    if (object.kind === "route") fewest = Math.min(fewest, host.keys("route").length);
    assert(verb !== "delete");
    return null;
  };
  add(cluster, MANY, 600);
  await cluster.advance(1_000);
  assertEquals([counts(host), fewest], [[600, 600, 600], MANY]);
  assertEquals(host.overlay!.readiness().ready, true);
});

Deno.test("a cluster that shrinks: objects go with their peers, all of them below the lower threshold", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, 600);
  assertEquals(counts(host), [600, 600, 600]);
  remove(cluster, 599, 600);
  await cluster.advance(1_000);
  assertEquals(counts(host), [599, 599, 599]);
  remove(cluster, FEW, 599);
  await cluster.advance(1_000);
  assertEquals(counts(host), [FEW, FEW, FEW], "between the thresholds nothing changes over");
  let fewest = FEW;
  host.kernel.refuse = () => (fewest = Math.min(fewest, host.keys("route").length), null);
  remove(cluster, FEW - 1, FEW);
  await cluster.advance(1_000);
  assertEquals([counts(host), fewest], [[FEW - 1, 0, 0], FEW - 1]);
});

Deno.test("a restart changes nothing, above the threshold and between the two", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, 600);
  for (const peers of [600, 450]) {
    remove(cluster, peers, 600);
    await cluster.advance(1_000);
    await host.stop();
    const before = [host.kernel.tried, host.kernel.objects()];
    await host.start();
    await cluster.advance(5_000);
    assertEquals([host.kernel.tried, host.kernel.objects()], before);
    assertEquals(counts(host), [peers, peers, peers]);
  }
});

Deno.test("a peer that vanished while we were down loses its object too, after the snapshot", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, 600);
  await host.stop();
  remove(cluster, 599, 600);
  cluster.store.startOutage();
  await host.start();
  await cluster.advance(60_000);
  assertEquals(counts(host), [600, 600, 600], "no snapshot, no deletion");
  cluster.store.endOutage();
  await cluster.advance(20_000);
  assertEquals(counts(host), [599, 599, 599]);
});

Deno.test("what somebody does to objects is repaired at once: one gone, one changed, the device down", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, 600);
  const [victim] = host.keys("nexthop");
  host.kernel.remove("nexthop", victim!);
  assertEquals(counts(host), [599, 599, 599]);
  await cluster.advance(200);
  assertEquals(counts(host), [600, 600, 600]);
  assertEquals(host.said(/repaired nexthop/).length, 1);
  const hop = host.kernel.get("nexthop", victim!);
  assert(hop?.kind === "nexthop");
  host.kernel.put({ ...hop, fields: { ...hop.fields, gateway: "10.99.99.0" } });
  await cluster.advance(200);
  assertEquals(counts(host), [600, 600, 600]);
  const link = host.kernel.get("link", "flannel.1");
  assert(link?.kind === "link");
  host.kernel.put({ ...link, fields: { ...link.fields, up: false } });
  assertEquals(counts(host), [0, 0, 0]);
  await cluster.advance(200);
  assertEquals(counts(host), [600, 600, 600]);
});

Deno.test("an object that cannot be made costs its own route, until it can", async () => {
  await using cluster = new Cluster(1, network);
  add(cluster, 0, 600);
  const host = cluster.host(11);
  const [id] = nexthopIds("default", "flannel.1", subnet(7));
  host.kernel.refuse = ({ object }) => object.key === String(id) ? "no memory" : null;
  await host.start();
  await cluster.advance(3_000);
  assertEquals(counts(host), [599, 599, 599]);
  assertEquals(host.overlay!.readiness().ready, false);
  host.kernel.refuse = () => null;
  await cluster.advance(60_000);
  assertEquals(counts(host), [600, 600, 600]);
});

Deno.test("another's object under an id that we would take stays; another id is taken", async () => {
  await using cluster = new Cluster(1, network);
  const ids = nexthopIds("default", "flannel.1", subnet(7));
  const host = cluster.host(11);
  const theirs = nexthop(ids[0]!, { gateway: "192.168.64.1", device: "eth0", onlink: false });
  host.kernel.put({ ...theirs, fields: { ...theirs.fields, protocol: 4 } });
  add(cluster, 0, 600);
  await host.start();
  await cluster.advance(2_000);
  const [way, kept] = [host.kernel.get("route", `${subnet(7)}/24`), host.kernel.get("nexthop", theirs.key)];
  assert(way?.kind === "route" && kept?.kind === "nexthop");
  assertEquals([way.fields.nexthop, kept.fields.gateway], [ids[1]!, "192.168.64.1"]);
  assertEquals(counts(host), [600, 600, 601]);
});

Deno.test("a malformed record protects its peer's object as well", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, 600);
  cluster.store.put(`${subnet(7)}-24`, "{broken");
  await cluster.advance(1_000);
  await host.stop();
  await host.start();
  await cluster.advance(5_000);
  assertEquals(counts(host), [600, 600, 600]);
});

Deno.test("a store that suddenly lists few peers is asked a second time, with objects as without", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, 600);
  remove(cluster, 100, 600);
  await cluster.advance(4_000);
  const [routes, , objects] = counts(host);
  assertEquals([routes, objects], [600, 600], "held for five seconds");
  await cluster.advance(4_000);
  assertEquals(counts(host), [100, 0, 0]);
});

Deno.test("a kernel without such objects gets plain routes however many", async () => {
  await using cluster = new Cluster(1, network);
  add(cluster, 0, 600);
  const host = cluster.host(11);
  host.kernel.hasNexthops = false;
  await host.start();
  await cluster.advance(2_000);
  assertEquals(counts(host), [600, 0, 0]);
});

Deno.test("the preview plans what a round does: objects and their routes, and nothing where they stand", async () => {
  await using cluster = new Cluster(1, network);
  const host = await among(cluster, MANY);
  await host.stop();
  add(cluster, MANY, MANY + 1);
  const seen = async () => {
    const { kernel, store, subnetFile, flags } = host;
    const { clock, random } = cluster;
    const chooseUnderlay = underlayChooser(kernel, flags, log);
    const identity = identityIn([host.disk], random, log);
    const ports = { store, kernel, clock, random, log, subnetFile, identity, chooseUnderlay };
    const { plan } = await preview(host.options, ports, new AbortController().signal);
    const count = (text: string) =>
      plan.operations.filter((o) => `${o.verb} ${o.object.kind}` === text).length;
    return [count("create nexthop"), count("modify route"), count("create route"), plan.operations.length];
  };
  assertEquals(await seen(), [MANY + 1, MANY, 1, 2 * MANY + 4]);
  await host.start();
  await cluster.advance(2_000);
  await host.stop();
  assertEquals(await seen(), [0, 0, 0, 0]);
});

Deno.test("leaving takes the objects away, also from a device that stays", async () => {
  const Backend = { Type: "host-gw" };
  await using cluster = new Cluster(1, { ...network, Backend });
  for (let n = 0; n < 600; n++) {
    const PublicIP = `192.168.${64 + (n >> 8)}.${n & 255}`;
    if (PublicIP !== "192.168.64.11") {
      cluster.store.put(
        `${subnet(n)}-24`,
        JSON.stringify({ PublicIP, PublicIPv6: null, BackendType: "host-gw" }),
      );
    }
  }
  const host = await cluster.started(11);
  await cluster.advance(1_000);
  assertEquals(host.keys("nexthop").length, 599);
  await host.stop();
  await host.start();
  await cluster.advance(2_000);
  const { overlay } = host;
  await host.stop();
  assertEquals(await overlay!.leave(), []);
  assertEquals([host.keys("nexthop"), host.keys("route")], [[], []]);
});
