/** Which routes are wanted by way of nexthop objects, and under which ids. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { FEW, MANY, NexthopWays, throughNexthops } from "../../src/plan/nexthops.ts";
import { protectedBy } from "../../src/plan/protection.ts";
import { ip } from "../../src/model/ip.ts";
import { CHOICES, inNexthopRange, nexthopIds } from "../../src/model/nexthop_id.ts";
import {
  idOf,
  nexthop,
  type Obj,
  type ObjectId,
  type ObjectOf,
  route,
  viaNexthop,
} from "../../src/model/objects.ts";
import type { Observed, Standing } from "../../src/model/plan.ts";
import { parsePrefix, prefix } from "../../src/model/prefix.ts";
import { seededRandom } from "../support/clock.ts";

function peer(n: number, device = "flannel.1"): ObjectOf<"route"> {
  const destination = prefix(ip(4, BigInt(0x0a100000 + 256 * n)), 24);
  return route({ destination, gateway: destination.ip, device, onlink: true });
}

function peers(count: number, device?: string, from = 0): ObjectOf<"route">[] {
  return Array.from({ length: count }, (_, n) => peer(from + n, device));
}

const seen = (objects: readonly Obj[], standing: Standing = "ours"): Observed[] =>
  objects.map((object) => ({ ...object, standing }));
const through = (objects: readonly Obj[], observed: readonly Observed[] = [], instance = "default") =>
  throughNexthops(objects, observed, instance);
const hops = (objects: readonly Obj[]) => objects.filter((o) => o.kind === "nexthop");
const routes = (objects: readonly Obj[]) => objects.filter((o) => o.kind === "route");

Deno.test("nexthops: up to the threshold every route stays as it is, above it none does", () => {
  const few = peers(MANY);
  assertStrictEquals(through(few), few);
  const many = through(peers(MANY + 1));
  assertEquals([hops(many).length, routes(many).length], [MANY + 1, MANY + 1]);
  for (const { fields } of routes(many)) {
    const hop = hops(many).find((o) => o.key === String(fields.nexthop));
    assertEquals([hop?.fields.gateway, hop?.fields.device, hop?.on], [
      String(fields.destination).replace("/24", ""),
      "flannel.1",
      "flannel.1",
    ]);
    assertEquals([fields.gateway, fields.onlink, fields.device], [null, false, "flannel.1"]);
  }
});

Deno.test("nexthops: what stands decides between the thresholds", () => {
  const standing = seen(hops(through(peers(MANY + 1))));
  assertEquals(hops(through(peers(FEW), standing)).length, FEW);
  assertEquals(hops(through(peers(FEW - 1), standing)).length, 0);
  assertEquals(hops(through(peers(FEW), seen(standing, "foreign"))).length, 0);
  assertEquals(hops(through(peers(FEW, "flannel.2"), standing)).length, 0, "another device's");
});

Deno.test("nexthops: each device by itself; no gateway, no IPv6, nothing but routes", () => {
  const six = Array.from({ length: MANY + 1 }, (_, n) => {
    const destination = prefix(ip(6, (0xfd00n << 112n) + (BigInt(n) << 64n)), 64);
    return route({ destination, gateway: destination.ip, device: "flannel-v6.1", onlink: true });
  });
  const straight = peers(MANY + 1, "eth1", 2_000).map((r) => ({
    ...r,
    fields: { ...r.fields, gateway: null },
  }));
  const others = [...six, ...straight, ...peers(MANY, "eth0", 4_000)];
  const wanted = through([...others, ...peers(MANY + 1)]);
  assertEquals(wanted.slice(0, others.length), others);
  assertEquals(hops(wanted).length, MANY + 1);
  assert(hops(wanted).every(({ on }) => on === "flannel.1"));
});

Deno.test("nexthops: two routes by one gateway share an object", () => {
  const shared = peers(MANY + 1).map((r, n) => ({
    ...r,
    fields: { ...r.fields, gateway: `192.0.2.${n % 2}` },
  }));
  const wanted = through(shared);
  assertEquals([hops(wanted).length, routes(wanted).length], [2, MANY + 1]);
});

Deno.test("nexthops: ids are the same in every process, in any order, and other ones for another instance", () => {
  assertEquals(nexthopIds("default", "flannel.1", "10.16.0.0").slice(0, 2), IDS);
  const all = peers(3000);
  const idOf = (objects: readonly Obj[]) => new Map(routes(objects).map((o) => [o.key, o.fields.nexthop]));
  const [forward, backward] = [idOf(through(all)), idOf(through(all.toReversed()))];
  assertEquals(all.filter(({ key }) => forward.get(key) !== backward.get(key)).length, 0);
  const theirs = new Set(idOf(through(all, [], "second")).values());
  assertEquals([...forward.values()].filter((id) => theirs.has(id!)).length, 0);
  assertEquals(new Set(forward.values()).size, 3000);
});
/** Of the first daemon that computed them. */
const IDS = [1_777_151_172, 1_777_151_173];

Deno.test("nexthops: ids lie in their range and follow each other, around its end too", () => {
  const name = fc.string({ maxLength: 15 });
  fc.assert(fc.property(name, name, fc.ipV4(), (instance, device, gateway) => {
    const ids = nexthopIds(instance, device, gateway);
    assertEquals(new Set(ids).size, CHOICES);
    assert(ids.every(inNexthopRange));
  }));
  for (const id of [0x3fffffff, 0x80000000, 0]) assert(!inNexthopRange(id));
});

Deno.test("nexthops: an id that another has is passed over; where all are taken the route stays plain", () => {
  const all = peers(MANY + 1);
  const ids = nexthopIds("default", "flannel.1", "10.16.0.0");
  const foreign = (count: number) =>
    seen(
      ids.slice(0, count).map((id) => nexthop(id, { gateway: "9.9.9.9", device: "x", onlink: true })),
      "foreign",
    );
  const idWith = (count: number) =>
    routes(through(all, foreign(count))).find((o) => o.key === all[0]!.key)?.fields.nexthop;
  assertEquals([idWith(0), idWith(1), idWith(CHOICES - 1)], [ids[0], ids[1], ids.at(-1)]);
  assertEquals(idWith(CHOICES), null);
  assertEquals(hops(through(all, foreign(CHOICES))).length, MANY);
});

Deno.test("nexthops: a route in whose place another's or a lookalike stands is wanted plain", () => {
  const all = peers(MANY + 1);
  for (const standing of ["foreign", "lookalike"] as const) {
    const wanted = through(all, seen([all[7]!], standing));
    assertStrictEquals(wanted.find((o) => o.kind === "route" && o.key === all[7]!.key), all[7]);
    assertEquals(hops(wanted).length, MANY);
  }
});

Deno.test("nexthops: the very same objects round after round", () => {
  const all = peers(MANY + 1);
  const first = through(all);
  const second = through(all, seen(first));
  assert(first.every((object, i) => object === second[i]));
  const fewer = through(all.slice(1), seen(first));
  assert(fewer.every((object, i) => object === first[i + 2]));
});

Deno.test("nexthops: what a protected subnet's routes lead through is protected, and nothing else of the kind", () => {
  const hop = (id: number) => nexthop(id, { gateway: "192.0.2.1", device: "eth0", onlink: false });
  const [inside, outside] = [viaNexthop(peer(0), 1), viaNexthop(peer(1), 2)];
  const observed = seen([hop(1), hop(2), hop(3), inside, outside]);
  const shielded = protectedBy([parsePrefix("10.16.0.0/24")!], observed);
  assertEquals(observed.map(shielded), [true, false, false, true, false]);
});

/** What a schedule of changes goes by: routes around the threshold, some with a common gateway, and what others have put there. */
class Changing {
  readonly plain = new Map<ObjectId, Obj>();
  readonly standing = new Map<ObjectId, Observed>();

  constructor(readonly int: (below: number) => number) {
    for (const object of peers(FEW + int(2 * (MANY - FEW)))) this.plain.set(idOf(object), object);
  }

  /** Ids of what changed. */
  wanted(): ObjectId[] {
    return Array.from({ length: 1 + this.int(120) }, () => {
      const plain = peer(this.int(MANY + 60));
      const id = idOf(plain);
      const shared = { ...plain, fields: { ...plain.fields, gateway: `192.0.2.${this.int(3)}` } };
      if (this.int(2) === 0) this.plain.delete(id);
      else this.plain.set(id, this.int(4) === 0 ? shared : plain);
      return id;
    });
  }

  /** Others put something where our routes and objects are, or take it away. */
  others(): [ObjectId, Observed | undefined][] {
    return Array.from({ length: this.int(5) }, () => {
      const plain = peer(this.int(MANY + 60));
      const [id] = nexthopIds("default", "flannel.1", plain.fields.gateway!);
      const there = this.int(2) === 0
        ? plain
        : nexthop(id!, { gateway: "9.9.9.9", device: "x", onlink: true });
      const now = this.int(2) === 0 ? undefined : { ...there, standing: "foreign" as const };
      if (now === undefined) this.standing.delete(idOf(there));
      else this.standing.set(idOf(there), now);
      return [idOf(there), now];
    });
  }
}

Deno.test("nexthops: after every change the ways are those of all objects together, and what changed is told", () => {
  for (let seed = 1; seed <= 12; seed++) {
    const changing = new Changing(seededRandom(seed).int);
    const { plain, standing } = changing;
    const ways = new NexthopWays("default");
    ways.reset(plain, []);
    const known = new Map(ways.objects().map((object) => [idOf(object), object]));
    for (let step = 0; step < 25; step++) {
      const told = ways.update(changing.wanted(), changing.others());
      for (const id of told) {
        const now = ways.get(id);
        if (now === undefined) known.delete(id);
        else known.set(id, now);
      }
      // Devices that have objects of ours keep them down to the lower threshold.
      const hop = [...known.values()].find(({ kind }) => kind === "nexthop");
      const seenBefore: Observed[] = [...standing.values(), ...(hop ? seen([hop]) : [])];
      const scratch = new NexthopWays("default");
      scratch.reset(plain, seenBefore);
      const sorted = (objects: Iterable<Obj>) => [...objects].map((o) => JSON.stringify(o)).sort();
      assertEquals(sorted(ways.objects()), sorted(scratch.objects()), `seed ${seed}, step ${step}`);
      assertEquals(sorted(known.values()), sorted(scratch.objects()), `told of seed ${seed}, step ${step}`);
    }
  }
});
