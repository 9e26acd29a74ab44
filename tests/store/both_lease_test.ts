/** A lease in both of etcd's APIs, on a real etcd: how its halves are taken, made whole, found and given back. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BothTable } from "../../src/store/etcd/both/table.ts";
import { openSide } from "../../src/store/etcd/side.ts";
import type { Lease } from "../../src/model/lease.ts";
import { isLost } from "../../src/store/store.ts";
import { A, B, bothSides, C, CONFIG, mirrored, OTHER_MAC } from "./both_sides.ts";
import { flags } from "./etcd3_harness.ts";
import {
  claim,
  keyOf,
  oldOwnValue,
  oldValue,
  ours,
  ownValue,
  type RawAccess,
  record,
  soon,
  subnets,
  value,
} from "./harness.ts";

const test = bothSides();

test("a subnet that is another's on either side is not taken; nothing of the claim stays", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  await v2.put("10.3.1.0-24", oldValue(B), 5_000_000);
  await v3.put("10.3.2.0-24", value(C), 5_000_000);
  const store = await open();
  for (const wanted of ["10.3.1.0-24", "10.3.2.0-24"]) {
    const lease = await store.acquire(claim(A, undefined, subnets(wanted)), soon());
    assert(keyOf(lease) !== wanted);
    assertEquals([await v2.get(keyOf(lease)), await v3.get(keyOf(lease))], [oldOwnValue(A), ownValue(A)]);
    await store.release(lease);
    assertEquals([await v2.get(keyOf(lease)), await v3.get(keyOf(lease))], [null, null]);
  }
  assertEquals([await v2.get("10.3.1.0-24"), await v3.get("10.3.2.0-24")], [oldValue(B), value(C)]);
  assertEquals([await v2.get("10.3.2.0-24"), await v3.get("10.3.1.0-24")], [null, null]);
});

test("a claim that meets another's record in v3 gives its half in v2 back; a mirror of ours becomes ours", async (setup) => {
  const { etcd, prefix, v2, v3 } = setup;
  await using two = await openSide("v2", flags(etcd.endpoints, { prefix }));
  await using three = await openSide("v3", flags(etcd.endpoints, { prefix }));
  const table = new BothTable(two.table, three.table);
  await v3.put("10.3.2.0-24", value(C), 5_000_000);
  assertEquals(await table.create(subnets("10.3.2.0-24"), ours(A)), null);
  assertEquals([await v2.get("10.3.2.0-24"), await v3.get("10.3.2.0-24")], [null, value(C)]);
  // As the bridge is faster than we are.
  await v3.put("10.3.4.0-24", mirrored(ownValue(A), "v2"), 5_000_000);
  assert(await table.create(subnets("10.3.4.0-24"), ours(A)) !== null);
  assertEquals([await v2.get("10.3.4.0-24"), await v3.get("10.3.4.0-24")], [oldOwnValue(A), ownValue(A)]);
});

test("a host that stood on one side, or was mirrored, stands on both with the subnet it had", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  await v2.put("10.3.1.0-24", oldValue(A), 5_000_000);
  await v3.put("10.3.1.0-24", mirrored(value(A), "v2"), 5_000_000);
  await v3.put("10.3.2.0-24", value(B), 5_000_000);
  const store = await open();
  // Its origin is gone just now.
  await v3.put("10.3.3.0-24", mirrored(value(C), "v2"), 5_000_000);
  for (const [host, key] of [[A, "10.3.1.0-24"], [B, "10.3.2.0-24"], [C, "10.3.3.0-24"]] as const) {
    const lease = await store.acquire(claim(host), soon());
    assertEquals(keyOf(lease), key);
    const renewed = await store.renew(lease);
    assert(!isLost(renewed));
    assertEquals([await v2.get(key), await v3.get(key)], [oldOwnValue(host), ownValue(host)]);
    for (const raw of [v2, v3]) assert((await raw.ttl(key))! > 86_000_000);
  }
});

test("half a lease is made whole; with one half another's the other is given back", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  const store = await open();
  let lease = await store.acquire(claim(A, undefined, subnets("10.3.1.0-24")), soon());
  for (const raw of [v2, v3]) {
    await raw.delete("10.3.1.0-24");
    const renewed = await store.renew(lease);
    assert(!isLost(renewed));
    lease = renewed;
    assertEquals([await v2.get("10.3.1.0-24"), await v3.get("10.3.1.0-24")], [oldOwnValue(A), ownValue(A)]);
  }
  const published = await store.publish(lease, ours(A, OTHER_MAC));
  assert(!isLost(published));
  assertEquals([await v2.get("10.3.1.0-24"), await v3.get("10.3.1.0-24")], [
    oldOwnValue(A, OTHER_MAC),
    ownValue(A, OTHER_MAC),
  ]);
  // As v0.11 takes over its previous subnet, whoever has it.
  await v2.put("10.3.1.0-24", oldValue(B), 5_000_000);
  const lost = await store.renew(published);
  assert(isLost(lost) && lost.lost === "taken");
  assertEquals(lost.by, record(B));
  assertEquals([await v2.get("10.3.1.0-24"), await v3.get("10.3.1.0-24")], [oldValue(B), null]);
});

test("a write that meets another's half gives the other half back", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  const store = await open();
  const lease = await store.acquire(claim(A, undefined, subnets("10.3.1.0-24")), soon());
  await v3.put("10.3.1.0-24", value(B), 5_000_000);
  assert(isLost(await store.publish(lease, ours(A, OTHER_MAC))));
  assertEquals([await v2.get("10.3.1.0-24"), await v3.get("10.3.1.0-24")], [null, value(B)]);
});

test("what is missing of a lease, or only a mirror of it, is found incomplete and made again by a renewal", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  const store = await open();
  const key = "10.3.1.0-24";
  let lease = await store.acquire(claim(A, undefined, subnets(key)), soon());
  const whole = [oldOwnValue(A), ownValue(A)];
  const damage: (readonly [raw: RawAccess, text: string | null])[] = [
    [v2, null],
    [v3, null],
    [v2, mirrored(oldOwnValue(A), "v3")],
    [v3, mirrored(ownValue(A), "v2")],
  ];
  for (const [raw, text] of damage) {
    const sound = await store.look(lease);
    assertEquals([sound.asWritten, sound.incomplete], [true, false]);
    if (text === null) await raw.delete(key);
    else await raw.put(key, text, 5_000_000);
    const { found, asWritten, incomplete } = await store.look(lease);
    assert(found !== null && "record" in found);
    assertEquals([found.record, asWritten, incomplete], [lease.record, true, true]);
    const renewed = await store.renew(lease);
    assert(!isLost(renewed), Deno.inspect(renewed));
    assertEquals([await v2.get(key), await v3.get(key)], whole);
    lease = renewed;
  }
  // Nothing stands there that is more than a mirror.
  for (const [left, text, gone] of [[v2, oldOwnValue(A), v3], [v3, ownValue(A), v2]] as const) {
    await gone.delete(key);
    await left.put(key, mirrored(text, left === v2 ? "v3" : "v2"), 5_000_000);
    assertEquals(await store.look(lease), { found: null, asWritten: false });
    const made = await store.create(lease.subnets, lease.record);
    assert(made !== null && !isLost(made));
    assertEquals([await v2.get(key), await v3.get(key)], whole);
    lease = made;
  }
});

test("a write of a new run that got to one side only is found as ours, and finished by a renewal", async (setup) => {
  const { etcd, prefix, v2, v3 } = setup;
  await using two = await openSide("v2", flags(etcd.endpoints, { prefix }));
  await using three = await openSide("v3", flags(etcd.endpoints, { prefix }));
  const table = new BothTable(two.table, three.table);
  const key = "10.3.1.0-24";
  const lease = await table.create(subnets(key), ours(A));
  const old = ours(A);
  const now = { ...old, mark: { ...old.mark!, run: "0123456789abcdef", turn: 2 } };
  const half = await two.table.find(subnets(key));
  assert(lease !== null && half !== null && "record" in half);
  assert(!isLost(await two.table.update(half, now)));
  const first = await table.look(lease);
  assert(first.found !== null && "record" in first.found);
  assertEquals([first.found.record, first.asWritten], [now, false]);
  // As the keeper learns of it.
  const second = await table.look(first.found);
  assert(second.found !== null && "record" in second.found);
  assertEquals([second.found.record, second.asWritten, second.incomplete], [now, true, true]);
  // A stranger's half decides all the same.
  const mine = (await v3.get(key))!;
  await v3.put(key, ownValue(B), 5_000_000);
  const third = await table.look(first.found);
  assert(third.found !== null && "record" in third.found);
  assertEquals([third.found.record, third.asWritten], [ours(B), false]);
  await v3.put(key, mine, 5_000_000);
  // Not as we know it any more: whoever wrote it, it was not we.
  assertEquals((await table.look(first.found)).asWritten, false);
  await three.table.remove((await three.table.find(subnets(key))) as Lease);
  const renewed = await table.renew(first.found);
  assert(!isLost(renewed));
  for (const side of [v2, v3]) {
    assertStringIncludes((await side.get(key))!, '"Run":"0123456789abcdef","Turn":2');
  }
  const sound = await table.look(renewed);
  assertEquals([sound.asWritten, sound.incomplete], [true, false]);
});

test("a reservation on one side is one although its mirror on the other ends", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  const store = await open();
  const known = { ...claim(A), self: { ...claim(A).self, isNew: false } };
  // Of the host that had this address before, and its subnet from an administrator.
  const text = ownValue(B, undefined, 1, null, value(A));
  await v2.put("10.3.1.0-24", text);
  await v3.put("10.3.1.0-24", mirrored(text, "v2"), 5_000_000);
  await v3.put("10.3.2.0-24", text, 5_000_000);
  await v2.put("10.3.2.0-24", mirrored(text, "v3"), 5_000_000);
  const lease = await store.acquire(known, soon());
  assertEquals([keyOf(lease), lease.record.mark?.after], ["10.3.1.0-24", claim(B).self.host]);
  assertEquals(await v2.ttl("10.3.1.0-24"), null);
});

test("a stranger's half decides what is found, on either side, and so does one that can't be read", async ({ v2, v3, open, setConfig }) => {
  await setConfig(CONFIG);
  const store = await open();
  const key = "10.3.1.0-24";
  const lease = await store.acquire(claim(A, undefined, subnets(key)), soon());
  for (const [raw, plain, marked] of [[v2, oldValue, oldOwnValue], [v3, value, ownValue]] as const) {
    for (const [text, theirs] of [[plain(B), record(B)], [marked(B), ours(B)]] as const) {
      await raw.put(key, text, 5_000_000);
      const { found, asWritten } = await store.look(lease);
      assert(found !== null && "record" in found);
      assertEquals([found.record, asWritten], [theirs, false]);
    }
    await raw.put(key, "{", 5_000_000);
    const { found } = await store.look(lease);
    assert(found !== null && "reason" in found);
    await raw.put(key, marked(A), 5_000_000);
    // Our words, but not written by us.
    const again = await store.look(lease);
    assert(again.found !== null && "record" in again.found);
    assertEquals([again.found.record, again.asWritten], [lease.record, false]);
  }
});

test("a half written beside a copy's is given back: a copy has our id, not our run", async ({ etcd, prefix, v2, v3 }) => {
  await using two = await openSide("v2", flags(etcd.endpoints, { prefix }));
  await using three = await openSide("v3", flags(etcd.endpoints, { prefix }));
  const table = new BothTable(two.table, three.table);
  const lease = await table.create(subnets("10.3.5.0-24"), ours(A));
  assert(lease !== null);
  const own = lease.record.mark!;
  const copies = ownValue(A).replace(`"Run":"${own.run}"`, `"Run":"${"c".repeat(16)}"`);
  await v3.put("10.3.5.0-24", copies, 5_000_000);
  assert(isLost(await table.update(lease, { ...ours(A, OTHER_MAC), mark: own })));
  assertEquals([await v2.get("10.3.5.0-24"), await v3.get("10.3.5.0-24")], [null, copies]);
});
