/**
 * Ten thousand peers, in and out whole; whole dumps while others change the tables. Times are printed, not asserted: the
 * kernel itself is quadratic in the routes of one device.
 */
import { assert, assertEquals } from "@std/assert";
import type { Change, NeighbourRecord, RecordVerb, RouteRecord } from "../../ffi/records.ts";
import { type Bench, benchTest, fdb, makeVxlan, neighbour, route } from "../support/ffi.ts";
import { output, poll, Process } from "../support/process.ts";

const PEERS = 10_000;

function subnet(peer: number): string {
  return `10.${128 + (peer >> 8)}.${peer & 255}.0`;
}

function mac(peer: number): string {
  return `02:00:00:00:${hex(peer >> 8)}:${hex(peer & 255)}`;
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

function peers<R>(verb: RecordVerb, count: number, record: (peer: number) => R): Change<R>[] {
  return Array.from({ length: count }, (_, peer) => ({ verb, record: record(peer) }));
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  print(`${what}: ${(performance.now() - start).toFixed(1)} ms`);
  return result;
}

function allZero(results: readonly number[], count: number): void {
  assertEquals(results.length, count);
  assertEquals(results.filter((result) => result !== 0), []);
}

async function ours(
  { netlink }: Bench,
  index: number,
): Promise<{ routes: RouteRecord[]; entries: NeighbourRecord[] }> {
  const routes = await timed("read all routes", () => netlink.routes(254));
  const entries = await timed("read all neighbours and FDB entries", () => netlink.neighbours([index]));
  return {
    routes: routes.filter((r) => r.protocol === 85),
    entries: entries.filter((n) => (n.state & 0x80) !== 0),
  };
}

benchTest(`${PEERS} peers: a neighbour, an FDB entry and a route each, in and out whole`, async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  const arp = (peer: number) => neighbour(index, subnet(peer), { mac: mac(peer) });
  const forward = (peer: number) => fdb(index, mac(peer), `10.77.${peer >> 8}.${peer & 255}`);
  const way = (peer: number) => route(index, `${subnet(peer)}/24`);

  allZero(await timed("neighbours in", () => netlink.applyNeighbours(peers("replace", PEERS, arp))), PEERS);
  allZero(await timed("FDB in", () => netlink.applyNeighbours(peers("replace", PEERS, forward))), PEERS);
  allZero(await timed("routes in", () => netlink.applyRoutes(peers("create", PEERS, way))), PEERS);

  const there = await ours(bench, index);
  const wanted = Array.from({ length: PEERS }, (_, peer) => peer);
  const sorted = (texts: string[]) => texts.sort().join("\n");
  const text = (record: RouteRecord | NeighbourRecord) => JSON.stringify(record);
  assert(
    sorted(there.routes.map(text)) === sorted(wanted.map((peer) => text(way(peer)))),
    "the routes differ",
  );
  const entries = wanted.flatMap((peer) => [text(arp(peer)), text(forward(peer))]);
  assert(sorted(there.entries.map(text)) === sorted(entries), "the neighbours or FDB entries differ");

  allZero(await timed("routes out", () => netlink.applyRoutes(peers("delete", PEERS, way))), PEERS);
  allZero(await timed("FDB out", () => netlink.applyNeighbours(peers("delete", PEERS, forward))), PEERS);
  allZero(await timed("neighbours out", () => netlink.applyNeighbours(peers("delete", PEERS, arp))), PEERS);
  assertEquals(await ours(bench, index), { routes: [], entries: [] });
});

/** Runs `script` over and over in another process while `body` runs. */
async function whileAnother(script: string, body: () => Promise<void>): Promise<void> {
  await using other = new Process("churn", ["sh", "-c", `while :; do ${script}; echo turn; done`]);
  await other.line(/turn/);
  const before = other.lines.length;
  await body();
  await poll("the other process to have gone on", 10_000, () => other.lines.length > before);
}

benchTest("dumps of routes are whole while another process adds and deletes others", async (bench) => {
  const { netlink } = bench;
  const index = await makeVxlan(bench);
  allZero(
    await netlink.applyRoutes(peers("create", 2000, (peer) => route(index, `${subnet(2 * peer)}/24`))),
    2000,
  );
  const batch = await Deno.makeTempFile();
  const others = Array.from({ length: 500 }, (_, i) => `${subnet(8 * i + 1)}/24 via 10.77.0.2`);
  await Deno.writeTextFile(
    batch,
    [...others.map((r) => `route add ${r}`), ...others.map((r) => `route del ${r}`)].join("\n"),
  );
  try {
    await whileAnother(`ip -batch ${batch}`, async () => {
      for (let i = 0; i < 60; i++) {
        const routes = (await netlink.routes(254)).filter((r) => r.protocol === 85);
        assertEquals(new Set(routes.map((r) => r.destination)).size, 2000, `dump ${i}`);
        assertEquals(routes.length, 2000, `dump ${i}`);
      }
    });
  } finally {
    await Deno.remove(batch);
    await output(["ip", "route", "flush", "via", "10.77.0.2"]);
  }
});

benchTest("dumps of links are whole while another process adds and deletes others", async (bench) => {
  const { netlink } = bench;
  const names = Array.from({ length: 30 }, (_, i) => `dnmk${i}`);
  const record = (name: string, i: number) => ({
    index: 0,
    name,
    type: "bridge",
    alias: `denim:${i}`,
    mac: null,
    mtu: 0,
    up: false,
    vxlan: null,
  });
  allZero(
    await netlink.applyLinks(names.map((name, i) => ({ verb: "create", record: record(name, i) }))),
    names.length,
  );
  await whileAnother("ip link add dnmz type bridge; ip link del dnmz", async () => {
    for (let i = 0; i < 200; i++) {
      const there = (await netlink.links()).map((link) => link.name).filter((name) => names.includes(name));
      assertEquals(there.sort(), [...names].sort(), `dump ${i}`);
    }
  });
});
