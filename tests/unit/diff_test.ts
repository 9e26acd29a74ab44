/** The one diff, on objects small enough to see through. */
import { assertEquals } from "@std/assert";
import { diff } from "../../src/plan/diff.ts";
import { type FieldsByKind, type Kind, type Obj, type ObjectOf, valueOf } from "../../src/model/objects.ts";
import type { KindRules, Observed, Plan, Standing } from "../../src/model/plan.ts";

const kindRules = (kind: Kind, recreates: string[] = []): [Kind, KindRules] => [kind, {
  kind,
  marks: ["protocol"],
  needsRecreate: (desired, observed) =>
    recreates.some((f) => valueOf(desired.fields, f) !== valueOf(observed.fields, f)),
  print: (object) => object.key,
}];
const rules = new Map([kindRules("link", ["vni"]), kindRules("route"), kindRules("neighbour")]);

/** An object with the fields alone that the diff is to see. */
function want<K extends Kind>(
  kind: K,
  key: string,
  fields: Partial<FieldsByKind[K]> = {},
  on?: string,
): ObjectOf<K> {
  return { kind, key, fields: fields as FieldsByKind[K], ...(on === undefined ? {} : { on }) };
}

const see = (standing: Standing, object: Obj): Observed => ({ ...object, standing });

function plan(desired: Obj[], observed: Observed[], mayDelete = true): Plan {
  return diff(desired, observed, { rules, mayDelete: () => mayDelete });
}

const steps = (p: Plan) => p.operations.map((o) => `${o.verb} ${o.object.kind} ${o.object.key}`);

Deno.test("diff: what stands as wanted is left alone", () => {
  const route = want("route", "r", { gateway: "a" });
  const p = plan([route], [see("ours", want("route", "r", { gateway: "a", metric: 0 }))]);
  assertEquals([steps(p), p.unchanged], [[], 1]);
});

Deno.test("diff: makes come before deletions, links first and last", () => {
  const desired = [want("route", "new", {}, "f"), want("link", "f")];
  const observed = [see("ours", want("link", "old")), see("ours", want("route", "gone", {}, "eth0"))];
  assertEquals(steps(plan(desired, observed)), [
    "create link f",
    "create route new",
    "delete route gone",
    "delete link old",
  ]);
});

Deno.test("diff: what stands elsewhere is in the way of a new device's objects", () => {
  const p = plan([want("link", "f"), want("route", "r", { gateway: "a" }, "f")], [
    see("foreign", want("route", "r", { gateway: "b" }, "eth0")),
  ]);
  assertEquals([steps(p), p.blocked.map(({ object }) => object.key)], [["create link f"], ["r"]]);
});

Deno.test("diff: behind a recreated device everything is made anew, on a deleted one nothing is deleted", () => {
  const route = want("route", "r", {}, "f");
  const neighbour = want("neighbour", "n", {}, "f");
  const recreated = plan([want("link", "f", { vni: 2 }), route], [
    see("ours", want("link", "f", { vni: 1 })),
    see("ours", route),
    see("ours", neighbour),
  ]);
  assertEquals(steps(recreated), ["recreate link f", "create route r"]);
  assertEquals(steps(plan([], [see("ours", want("link", "f")), see("ours", route)])), ["delete link f"]);
});

Deno.test("diff: a foreign object is in the way, and so is everything behind a foreign device", () => {
  const link = want("link", "f", { vni: 1 });
  const p = plan([link, want("route", "r", {}, "f")], [see("foreign", want("link", "f", { vni: 9 }))]);
  assertEquals(steps(p), []);
  assertEquals(p.blocked.map((b) => `${b.object.kind} by ${b.by.kind}`), ["link by link", "route by link"]);
});

Deno.test("diff: a foreign object is in the way even where it is just what we want", () => {
  const route = want("route", "r", { gateway: "a" });
  assertEquals(plan([route], [see("foreign", route)]).blocked.length, 1);
});

Deno.test("diff: a lookalike is taken over only where nothing but marks differ, and never deleted", () => {
  const mine = want("route", "r", { gateway: "a", protocol: 85 });
  const same = see("lookalike", want("route", "r", { gateway: "a", protocol: 3 }));
  const other = see("lookalike", want("route", "r", { gateway: "b", protocol: 3 }));
  assertEquals(steps(plan([mine], [same])), ["modify route r"]);
  assertEquals([steps(plan([mine], [other])), plan([mine], [other]).blocked.length], [[], 1]);
  assertEquals(steps(plan([], [same])), []);
});

Deno.test("diff: adoptable objects are taken over in place, and deleted where nobody wants them", () => {
  const mine = want("route", "r", { gateway: "a", protocol: 85 });
  const theirs = see("adoptable", want("route", "r", { gateway: "b", protocol: 3 }));
  assertEquals(steps(plan([mine], [theirs])), ["modify route r"]);
  assertEquals(steps(plan([], [theirs])), ["delete route r"]);
});

Deno.test("diff: before the first snapshot nothing is deleted, only withheld", () => {
  const p = plan([want("route", "new")], [see("ours", want("route", "old"))], false);
  assertEquals(steps(p), ["create route new"]);
  assertEquals(p.withheld.map((o) => o.object.key), ["old"]);
});

Deno.test("diff: lists of rules compare item by item", () => {
  const chain = want("chain", "c", { rules: ["a", "b"] });
  assertEquals(steps(plan([chain], [see("ours", want("chain", "c", { rules: ["a", "b"] }))])), []);
  assertEquals(steps(plan([chain], [see("ours", want("chain", "c", { rules: ["b", "a"] }))])), [
    "modify chain c",
  ]);
});

Deno.test("diff: what stands on another device than the one that is made is changed, not made a second time", () => {
  const desired = [want("link", "new"), want("route", "r", { gateway: "a" }, "new")];
  const observed = [
    see("ours", want("link", "old")),
    see("ours", want("route", "r", { gateway: "b" }, "old")),
  ];
  assertEquals(steps(plan(desired, observed)), ["create link new", "modify route r", "delete link old"]);
});
