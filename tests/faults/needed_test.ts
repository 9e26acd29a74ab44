/** What packets don't need never keeps a host from being ready; what they need does. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Operation } from "../../src/model/plan.ts";
import type { Kind, Obj } from "../../src/model/objects.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";

const backends = { vxlan: "vxlan", "host-gw": "host-gw", udp: "udp" };

async function pair(type: string): Promise<{ cluster: Cluster; a: TestHost; b: TestHost }> {
  const cluster = new Cluster(1, { ...config, Backend: { Type: type } });
  return { cluster, a: cluster.host(11), b: await cluster.started(12) };
}

function refusing(...kinds: Kind[]): (operation: Operation) => string | null {
  return ({ object, verb }) => kinds.includes(object.kind) && verb !== "delete" ? "not here" : null;
}

for (const type of ["vxlan", "udp"]) {
  Deno.test(`${type}: a setting that can't be written is a note, told once, and its end too`, async () => {
    const { cluster, a } = await pair(type);
    await using _ = cluster;
    a.kernel.refuse = refusing("sysctl");
    await a.start();
    await cluster.advance(200_000);
    const { ready, reasons, notes } = a.overlay!.readiness();
    assert(ready, reasons.join());
    assert(notes.some((note) => /sysctl .*accept_ra = 0: not here/.test(note)), notes.join());
    assertEquals(a.said(/not here/).length, 1, a.said(/not here/).join("\n"));
    assertMatch(a.said(/not here/)[0]!, /^warn: .*packets flow without it; trying again$/);
    a.kernel.refuse = () => null;
    await cluster.advance(80_000);
    assertEquals(a.overlay!.readiness().notes, []);
    assertEquals(a.said(/accept_ra: in order again/).length, 1);
  });
}

const needed: readonly [type: keyof typeof backends, kind: Kind][] = [
  ["vxlan", "address"],
  ["vxlan", "neighbour"],
  ["vxlan", "fdb"],
  ["vxlan", "route"],
  ["vxlan", "chain"],
  ["vxlan", "jump"],
  ["host-gw", "route"],
  ["udp", "address"],
  ["udp", "peer"],
  ["udp", "route"],
];

for (const [type, kind] of needed) {
  Deno.test(`${type}: a ${kind} that can't be made keeps the host from being ready, until it is`, async () => {
    const { cluster, a } = await pair(type);
    await using _ = cluster;
    a.kernel.refuse = refusing(kind);
    await a.start();
    await cluster.advance(60_000);
    assertMatch(a.overlay!.readiness().reasons.join(), new RegExp(`add ${kind} .*: not here`));
    a.kernel.refuse = () => null;
    await cluster.advance(60_000);
    assertEquals(a.overlay!.readiness().reasons, []);
  });
}

Deno.test("what is only in the way of nothing and can't be removed is a note", async () => {
  const { cluster, a, b } = await pair("vxlan");
  await using _ = cluster;
  await a.start();
  await cluster.advance(3_000);
  a.kernel.refuse = ({ verb }) => verb === "delete" ? "busy" : null;
  const key = cluster.store.keys().find((key) => b.subnet.includes(key.split("-")[0]!))!;
  await b.stop();
  cluster.store.delete(key);
  await cluster.advance(60_000);
  const { ready, notes } = a.overlay!.readiness();
  assert(ready);
  assert(notes.some((note) => /delete route .*busy \(and 2 more\)/.test(note)), notes.join());
});

Deno.test("a mark that can't be written is a note: a device of ours without its alias carries packets", async () => {
  const { cluster, a } = await pair("vxlan");
  await using _ = cluster;
  await a.start();
  await cluster.advance(3_000);
  const link = a.kernel.get("link", "flannel.1");
  assert(link?.kind === "link");
  const marked = (object: Obj) => object.kind === "link" && object.fields.alias === "denim:default";
  a.kernel.refuse = ({ object, verb }) => verb === "modify" && marked(object) ? "too long" : null;
  a.kernel.put({ ...link, fields: { ...link.fields, alias: "" } });
  await cluster.advance(3_000);
  assert(a.overlay!.readiness().ready);
  assert(a.overlay!.readiness().notes.some((note) => /change link .*too long/.test(note)));
  a.kernel.put({ ...link, fields: { ...link.fields, alias: "", mtu: 900 } });
  await cluster.advance(3_000);
  assert(!a.overlay!.readiness().ready, "an MTU is needed");
});
