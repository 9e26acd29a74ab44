/**
 * 10,000 peers on the real kernel, as the loop would put them up: transform, diff, apply, and a read-back that leaves nothing to
 * do. What it costs is printed beside what plain routes cost; that it is less than half is asserted, the rest is the machine's.
 */
import { assert, assertEquals } from "@std/assert";
import { throughNexthops } from "../../src/plan/nexthops.ts";
import { ip } from "../../src/model/ip.ts";
import { fdbEntry, neighbour, type Obj, route } from "../../src/model/objects.ts";
import { parsePrefix, prefix } from "../../src/model/prefix.ts";
import { base, driverTest, type Host, owner } from "../support/kernel_host.ts";
import { say } from "../support/process.ts";

const PEERS = 10_000;
const cluster = { ...owner, networks: [parsePrefix("10.0.0.0/8")!] };

function peer(n: number): Obj[] {
  const destination = prefix(ip(4, BigInt(0x0a100000 + 256 * n)), 24);
  const octet = (value: number) => value.toString(16).padStart(2, "0");
  const mac = `02:00:00:00:${octet(n >> 8)}:${octet(n & 255)}`;
  return [
    neighbour("flannel.1", destination.ip, mac),
    fdbEntry("flannel.1", mac, ip(4, BigInt(0xac100001 + n))),
    route({ destination, gateway: destination.ip, device: "flannel.1", onlink: true }),
  ];
}

const peers = Array.from({ length: PEERS }, (_, n) => peer(n));
const wanted = (count: number) => [...base, ...peers.slice(0, count).flat()];

/** One round, timed without the reading; then a second one, which must find everything in order. */
async function round(host: Host, what: string, objects: readonly Obj[], through: boolean): Promise<number> {
  const ways = async () => through ? throughNexthops(objects, await host.read(cluster), "default") : objects;
  const { operations } = await host.plan(await ways(), cluster);
  const start = performance.now();
  const outcomes = await host.kernel.apply(operations);
  const ms = performance.now() - start;
  assertEquals(outcomes.flatMap(({ error }) => error ?? []).slice(0, 3), []);
  const after = await host.plan(await ways(), cluster);
  assertEquals(after.operations.slice(0, 3), []);
  say(`${what}: ${operations.length} operations, ${ms.toFixed(0)} ms`);
  return ms;
}

async function counts(host: Host): Promise<[routes: number, through: number, objects: number]> {
  const all = await host.read(cluster);
  const routes = all.filter((o) => o.kind === "route");
  const objects = all.filter((o) => o.kind === "nexthop");
  return [routes.length, routes.filter((o) => o.fields.nexthop !== null).length, objects.length];
}

driverTest(
  `${PEERS} peers: in, out, and the transitions, in less than half the time of plain routes`,
  async (host) => {
    const plain = await round(host, "plain routes in", wanted(PEERS), false);
    assertEquals(await counts(host), [PEERS, 0, 0]);
    await round(host, "plain routes become routes by way of objects", wanted(PEERS), true);
    assertEquals(await counts(host), [PEERS, PEERS, PEERS]);
    await round(host, "all but 450 peers out", wanted(450), true);
    assertEquals(await counts(host), [450, 450, 450]);
    await round(host, "back to plain routes", wanted(399), true);
    assertEquals(await counts(host), [399, 0, 0]);
    await round(host, "the rest out", base, true);
    const through = await round(host, "by way of objects in", wanted(PEERS), true);
    assertEquals(await counts(host), [PEERS, PEERS, PEERS]);
    await host.place.run(["ip", "link", "set", "flannel.1", "down"]);
    await host.place.run(["ip", "link", "set", "flannel.1", "up"]);
    assertEquals(await counts(host), [0, 0, 0]);
    await round(host, "back after the device went down", wanted(PEERS), true);
    assertEquals(await counts(host), [PEERS, PEERS, PEERS]);
    assert(through < plain / 2, `${through.toFixed(0)} ms by way of objects, ${plain.toFixed(0)} ms plain`);
  },
);
