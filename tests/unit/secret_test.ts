/** A secret in an object never comes out as text, whatever prints the object; it is compared by its value. */
import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import {
  fits,
  type Kind,
  kinds,
  type Obj,
  type ObjectOf,
  sameFields,
  sameValue,
} from "../../src/model/objects.ts";
import type { Observed, Operation } from "../../src/model/plan.ts";
import { Secret } from "../../src/model/secret.ts";
import {
  describeBlocked,
  describeDone,
  describeObject,
  describeRepair,
  operationFields,
} from "../../src/plan/describe.ts";
import { differences } from "../../src/plan/diff.ts";
import { FakeKernel } from "../support/kernel/fake.ts";

const [VALUE, OTHER] = ["4wiQtXaV", "9ouZrbKe"];
const { rules } = new FakeKernel({ interfaces: [], route: () => null, defaultRoutes: () => [] });

const state = "permanent" as const;
const samples: { readonly [K in Kind]: ObjectOf<K>["fields"] } = {
  tunnel: { port: 8285, underlay: ["", ""], queues: 2, icmpSources: [""], sender: "", sources: 1 },
  link: { type: "", alias: "", mtu: 1450, up: true, mac: "", vni: 1, lower: "", local: "", group: "" },
  sysctl: { value: "" },
  address: { device: "", address: "", length: 32 },
  neighbour: { device: "", address: "", mac: "", state, protocol: 85 },
  fdb: { device: "", mac: "", destination: "", state },
  peer: { device: "", subnet: "", address: "", port: 8285 },
  nexthop: { id: 1, gateway: "", device: "", onlink: true, type: "", protocol: 85 },
  route: {
    destination: "",
    gateway: "",
    device: "",
    onlink: true,
    type: "",
    protocol: 85,
    nexthop: null,
    source: "",
  },
  chain: { rules: [""] },
  jump: { rule: "" },
  rules: { rules: ["", ""] },
};

/** An object with this in place of every text, of those in lists too. Types do not let a secret be there yet. */
function sample(kind: Kind, text: string | Secret, more: object = {}): Obj {
  const fields = Object.entries(samples[kind]).map(([name, value]) => {
    if (Array.isArray(value)) return [name, value.map(() => text)];
    return [name, typeof value === "string" ? text : value];
  });
  return {
    kind,
    key: "iptables nat PLACE",
    on: "flannel.1",
    fields: { ...Object.fromEntries(fields), ...more },
  } as Obj;
}

/** Whatever makes a text of a value. */
function shown(value: unknown): string[] {
  const inspected = Deno.inspect(value, { depth: 9, showHidden: true, getters: true });
  return [String(value), `${value}`, "" + value, JSON.stringify(value) ?? "", Deno.inspect(value), inspected];
}

/** All that is said anywhere about an object, and about the change of another into it. */
function said(object: Obj, was: Obj): string[] {
  const before: Observed = { ...was, standing: "foreign" };
  const operations: Operation[] = [
    { verb: "create", object },
    { verb: "modify", object, before },
    { verb: "recreate", object, before },
    { verb: "delete", object: before, before },
  ];
  const changes = differences(object, before);
  return [
    rules.get(object.kind)!.print(object),
    describeBlocked({ object, by: before }),
    ...operations.flatMap((operation) => [
      describeDone(operation, rules),
      describeRepair(operation, rules),
      describeObject(operation, rules),
      ...shown(operationFields(operation)),
      ...shown(operation),
    ]),
    ...changes.map(({ field, is, want }) => `${field}: ${is} -> ${want}`),
    ...changes.flatMap(({ is, want }) => [is, want].flatMap(shown)),
    ...shown(changes),
    ...shown(object),
    ...shown(object.fields),
    ...Object.values(object.fields).flatMap(shown),
  ];
}

const reveals = (text: string) => text.includes(VALUE) || text.includes(OTHER);

Deno.test("a secret by itself: every text of it is the same, whatever its value", () => {
  assertEquals(new Secret(VALUE).reveal(), VALUE);
  const texts = shown(new Secret(VALUE));
  assertEquals(texts, shown(new Secret(OTHER)));
  for (const text of texts) assertStringIncludes(text, "(secret)");
  assertEquals([shown({ deep: [new Secret(VALUE)] }), shown([new Secret(VALUE)])].flat().filter(reveals), []);
  assertEquals(Object.values(new Secret(VALUE)), []);
});

Deno.test("every kind has its rules here", () => {
  assertEquals([...rules.keys()].sort(), [...kinds].sort());
});

/** The last ones are spoken of in words of their own. */
const cases: readonly (readonly [Kind, object])[] = [
  ...kinds.map((kind) => [kind, {}] as const),
  ["link", { type: "vxlan" }],
  ["route", { type: "unicast", protocol: 2 }],
  ["nexthop", { type: "unicast" }],
];
for (const [kind, more] of cases) {
  Deno.test(`${kind} ${JSON.stringify(more)}: nothing that is said of it tells a secret`, () => {
    const texts = said(sample(kind, new Secret(VALUE), more), sample(kind, new Secret(OTHER), more));
    assertEquals(texts.filter(reveals), []);
    assert(texts.some((text) => text.includes("(secret)")));
    // The very same texts tell what is no secret.
    const plain = said(sample(kind, VALUE, more), sample(kind, OTHER, more));
    assertEquals(plain.length, texts.length);
    assert(plain.some((text) => text.includes(VALUE)) && plain.some((text) => text.includes(OTHER)));
  });
}

Deno.test("a changed secret is said to have changed, and no more", () => {
  const [object, was] = [sample("sysctl", new Secret(VALUE)), sample("sysctl", new Secret(OTHER))];
  const operation: Operation = { verb: "modify", object, before: { ...was, standing: "ours" } };
  assertEquals(
    describeDone(operation, rules),
    'changed sysctl: iptables nat PLACE = (secret) (value "(secret)" -> "(secret)")',
  );
});

Deno.test("secrets are compared by value, and are like nothing else", () => {
  const secret = new Secret(VALUE);
  assert(sameValue(secret, secret));
  assert(sameValue(secret, new Secret(VALUE)));
  assertFalse(sameValue(secret, new Secret(OTHER)));
  for (const other of [VALUE, String(secret), "", null, undefined, [VALUE], 0, true]) {
    assertFalse(sameValue(secret, other), `secret, ${other}`);
    assertFalse(sameValue(other, secret), `${other}, secret`);
  }
});

// A list of secrets is no field's value.
for (const kind of kinds.filter((kind) => !Object.values(samples[kind]).some(Array.isArray))) {
  Deno.test(`${kind}: fits where its secrets are equal, and only there`, () => {
    const [object, same] = [sample(kind, new Secret(VALUE)), sample(kind, new Secret(VALUE))];
    const others = [sample(kind, new Secret(OTHER)), sample(kind, VALUE), sample(kind, "(secret)")];
    assert(fits(object.fields, same.fields) && sameFields(object, same));
    assertEquals(differences(object, { ...same, standing: "ours" }), []);
    for (const other of others) {
      assertFalse(fits(object.fields, other.fields));
      assertFalse(fits(other.fields, object.fields));
      assertFalse(sameFields(object, other));
    }
    const texts = Object.entries(object.fields).flatMap(([name, value]) =>
      value instanceof Secret ? name : []
    );
    assert(texts.length > 0 && fits(object.fields, others[0]!.fields, texts));
    assertEquals(
      differences(object, { ...others[0]!, standing: "ours" }).map(({ field }) => field),
      texts,
    );
  });
}
