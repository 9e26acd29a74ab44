/** Which of two leases in both of etcd's APIs is the older one: an API that both hosts have written to decides. */
import { assertEquals } from "@std/assert";
import type { Lease } from "../../src/model/lease.ts";
import { isOlder, joined } from "../../src/store/etcd/both/lease.ts";
import { asMirror } from "../../src/store/etcd/both/mirror.ts";
import { lease } from "../support/hosts.ts";

const plain = lease("10.1.15.0/24", "192.168.64.11", "02:00:00:00:00:11");
const at = (created: number): Lease => ({ ...plain, created });
const mirrorAt = (created: number, of: "v2" | "v3"): Lease => ({
  ...at(created),
  record: asMirror(plain.record, of),
});

Deno.test("older: as the API says that both have written to, mirrors apart", () => {
  // The first stands in both, the second in v3 alone: joined, the half in v2 would make the first one older.
  const first = joined({ v2: at(1), v3: at(9) });
  const second = joined({ v2: null, v3: at(8) });
  const mirrored = joined({ v2: mirrorAt(2, "v3"), v3: at(8) });
  for (const other of [second, mirrored]) {
    assertEquals([isOlder(first, other), isOlder(other, first)], [false, true]);
  }
  // What somebody mirrored into v3 has the time of that.
  const [late, early] = [joined({ v2: at(9), v3: mirrorAt(1, "v2") }), joined({ v2: at(8), v3: at(2) })];
  assertEquals([isOlder(late, early), isOlder(early, late)], [false, true]);
});

Deno.test("older: with no such API, or one API alone, by what was created first", () => {
  const [two, three] = [joined({ v2: at(9), v3: null }), joined({ v2: null, v3: at(1) })];
  assertEquals([isOlder(two, three), isOlder(three, two)], [true, false]);
  assertEquals([isOlder(at(1), at(2)), isOlder(at(2), at(1))], [true, false]);
});
