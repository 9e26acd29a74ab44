/** What is to be mirrored, from what stands in both of etcd's APIs. */
import { assertEquals } from "@std/assert";
import { parseIp } from "../../src/model/ip.ts";
import type { Lease } from "../../src/model/lease.ts";
import { parseAnyLeaseKey, parseLeaseKey } from "../../src/model/lease_codec.ts";
import { halvesOf, joined } from "../../src/store/etcd/both/lease.ts";
import type { Entry } from "../../src/store/etcd/both/view.ts";
import { asMirror } from "../../src/store/etcd/both/mirror.ts";
import { planMirrors } from "../../src/store/etcd/both/mirror_plan.ts";

const K = "10.3.1.0-24";

function own(host: string, key = K): Lease {
  const record = { publicIp: parseIp(host), publicIpv6: null, backendType: "vxlan" };
  return { subnets: parseLeaseKey(key)!, record, version: "7", created: 7, expires: 1000 };
}

function mirror(host: string, origin: "v2" | "v3"): Lease {
  const lease = own(host);
  return { ...lease, record: asMirror(lease.record, origin) };
}

const broken: Entry = { key: K, subnets: parseLeaseKey(K), reason: "broken" };
const A = "192.168.0.1";
const B = "192.168.0.2";

/** Both sides at one key, and the steps: `create v3`. */
const cases: readonly [string, Entry | null, Entry | null, readonly string[]][] = [
  ["a record on one side", own(A), null, ["create v3"]],
  ["a record and its mirror", own(A), mirror(A, "v2"), ["follow v3"]],
  ["a mirror whose record is another host's now", own(B), mirror(A, "v2"), ["follow v3"]],
  ["a mirror alone", null, mirror(A, "v2"), ["remove v3"]],
  ["a mirror that names its own side", null, mirror(A, "v3"), ["remove v3"]],
  ["two mirrors", mirror(A, "v3"), mirror(A, "v2"), ["remove v2", "remove v3"]],
  ["one host on both sides", own(A), own(A), []],
  ["two owners", own(A), own(B), []],
  ["a record beside what can't be read", own(A), broken, []],
  ["a mirror beside what can't be read", broken, mirror(A, "v2"), []],
  ["nothing but what can't be read", broken, null, []],
];

function steps(two: Entry | null, three: Entry | null, more: readonly [string, Entry][] = []): string[] {
  const at = (entry: Entry | null): [string, Entry][] => entry === null ? [] : [[K, entry]];
  const plan = planMirrors({ v2: new Map(at(two)), v3: new Map([...at(three), ...more]) });
  return plan.map((step) => `${step.type} ${step.type === "remove" ? step.at : step.to}`).sort();
}

for (const [name, two, three, wanted] of cases) {
  Deno.test(`mirrors: ${name}`, () => {
    assertEquals(steps(two, three), wanted);
    const swapped = wanted.map((step) => step.replace(/[23]$/, (n) => n === "2" ? "3" : "2")).sort();
    const other = (entry: Entry | null) => {
      if (entry === null || "reason" in entry) return entry;
      const mark = entry.record.extra?.Mirror;
      return mark === undefined
        ? entry
        : { ...entry, record: asMirror(entry.record, mark === "v2" ? "v3" : "v2") };
    };
    assertEquals(steps(other(three), other(two)), swapped);
  });
}

Deno.test("mirrors: none where the other side has something that overlaps", () => {
  const wide: Entry = own(B, "10.3.0.0-22");
  assertEquals(steps(own(A), null, [["10.3.0.0-22", wide]]), []);
});

Deno.test("mirrors: none in v2 of a host with IPv6 alone, which has no place there", () => {
  const subnets = parseAnyLeaseKey("fd00:3:0:7::-64")!;
  const alone: Entry = { ...own(A), subnets };
  assertEquals(steps(null, alone), []);
});

Deno.test("a lease of two halves gives them back, reservations too", () => {
  const two = { ...own(A), version: "17", created: 12, expires: null };
  const three = { ...own(A), version: "1042/99", created: 1040, expires: 5000 };
  const both = joined({ v2: two, v3: three });
  assertEquals([both.version, both.created, both.expires], ["17|1042/99", 12, 5000]);
  const { v2, v3 } = halvesOf(both);
  assertEquals([v2?.version, v2?.expires, v3?.version, v3?.expires], ["17", null, "1042/99", 5000]);
  const late = joined({ v2: null, v3: three });
  assertEquals([late.version, halvesOf(late).v2], ["|1042/99", null]);
  assertEquals(late.created > both.created, true);
  assertEquals(joined({ v2: two, v3: { ...three, expires: null } }).expires, null);
  const mirrored = { ...three, record: asMirror(three.record, "v2") };
  assertEquals(joined({ v2: two, v3: mirrored }).expires, null, "a reservation and its mirror");
  assertEquals(joined({ v2: { ...two, expires: 7000 }, v3: mirrored }).expires, 5000);
  assertEquals(joined({ v2: null, v3: mirrored }).expires, 5000);
});
