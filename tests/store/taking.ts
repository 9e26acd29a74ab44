/** What holds for every store of whose record is taken over, written over, or left: docs/identity.md. Part of `storeConformance`. */
import { assert, assertEquals } from "@std/assert";
import type { Lease, LeaseRecord } from "../../src/model/lease.ts";
import type { JoinedLease } from "../../src/store/etcd/both/lease.ts";
import { LEASE_TTL_MS } from "../../src/store/lease_table.ts";
import { type Claim, isLost } from "../../src/store/store.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { claimant } from "../support/identity.ts";
import {
  claim,
  held,
  keyOf,
  lost,
  network,
  ours,
  ownValue,
  record,
  soon,
  subnets,
  type Test,
  value,
} from "./harness.ts";

const small = parseNetworkConfig('{"Network": "10.3.0.0/22"}');
const A = "192.168.0.1";
const B = "192.168.0.2";
const OTHER_MAC = "02:00:00:00:00:99";

/** The order in which records are taken over; `model/identity.ts` says why. */
export function taking(test: Test): void {
  const C = "192.168.0.3";
  const hostOf = (hostIp: string) => claimant(hostIp).host;
  /** What the host of this id wrote, when it had another address. */
  const from = (address: string, hostIp: string, turn?: number, after?: string) =>
    ownValue(hostIp, undefined, turn, after, value(address));
  const known = (more: Partial<Claim["self"]> = {}): Claim => ({
    ...claim(A),
    self: { ...claimant(A), isNew: false, ...more },
  });

  test("our id's record goes before all at our address, the oldest of several, whatever its own", async (harness) => {
    await harness.raw.put("10.3.5.0-24", value(A), 600_000);
    await harness.raw.put("10.3.6.0-24", from(A, B), 600_000);
    await harness.raw.put("10.3.9.0-24", from("192.168.0.99", A, 4), 600_000);
    await harness.raw.put("10.3.8.0-24", from(A, A, 9), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A), soon());
    assertEquals([keyOf(lease), lease.record], ["10.3.9.0-24", ours(A, undefined, 5)]);
    assertEquals(await harness.raw.get("10.3.9.0-24"), harness.value(A, undefined, 5));
    const rest = ["10.3.5.0-24", "10.3.6.0-24", "10.3.8.0-24"];
    assertEquals(await Promise.all(rest.map((key) => harness.raw.get(key))), [
      value(A),
      from(A, B),
      from(A, A, 9),
    ]);
  });

  test("a trial of ours goes on as one", async (harness) => {
    await harness.raw.put("10.3.9.0-24", from(A, A, 1, hostOf(B)), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A), soon());
    assertEquals([keyOf(lease), lease.record], ["10.3.9.0-24", ours(A, undefined, 2, hostOf(B))]);
  });

  test("what another host has on trial, and was ours, is taken back at once", async (harness) => {
    await harness.raw.put("10.3.5.0-24", value(A), 600_000);
    await harness.raw.put("10.3.9.0-24", from(B, B, 7, hostOf(A)), 600_000);
    const lease = await (await harness.store(A)).acquire(known(), soon());
    assertEquals([keyOf(lease), lease.record], ["10.3.9.0-24", ours(A)]);
  });

  test("a record without a mark at our address goes before a trial", async (harness) => {
    await harness.raw.put("10.3.8.0-24", from(A, B), 600_000);
    await harness.raw.put("10.3.9.0-24", value(A), 600_000);
    await harness.raw.put("10.3.7.0-24", from(A, C), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A), soon());
    assertEquals([keyOf(lease), lease.record], ["10.3.9.0-24", ours(A)]);
    assertEquals(await harness.raw.get("10.3.8.0-24"), from(A, B));
    assertEquals(await harness.raw.get("10.3.7.0-24"), from(A, C));
  });

  test("a new host tries another id's record at its address, the youngest", async (harness) => {
    await harness.raw.put("10.3.9.0-24", from(A, B), 600_000);
    await harness.raw.put("10.3.8.0-24", from(A, C, 7), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A), soon());
    assertEquals([keyOf(lease), lease.record], ["10.3.8.0-24", ours(A, undefined, 1, hostOf(C))]);
    assertEquals((await harness.raw.get("10.3.8.0-24"))!.includes(`"After":"${hostOf(C)}"`), true);
    assertEquals(await harness.raw.get("10.3.9.0-24"), from(A, B));
  });

  test("a host that had a subnet before tries nobody's, but for a reservation", async (harness) => {
    await harness.raw.put("10.3.9.0-24", from(A, B), 600_000);
    const store = await harness.store(A);
    const drawn = await store.acquire(known(), soon());
    assert(keyOf(drawn) !== "10.3.9.0-24");
    assertEquals(drawn.record, ours(A));
    assertEquals(await harness.raw.get("10.3.9.0-24"), from(A, B));
    await store.release(drawn);
    await harness.raw.delete("10.3.9.0-24");
    await harness.raw.put("10.3.9.0-24", from(A, B));
    const tried = await store.acquire(known(), soon());
    assertEquals([keyOf(tried), tried.expires], ["10.3.9.0-24", null]);
    assertEquals(tried.record, ours(A, undefined, 1, hostOf(B)));
  });

  test("what is on trial already is tried by nobody else", async (harness) => {
    await harness.raw.put("10.3.9.0-24", from(A, B, 1, hostOf(C)), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A), soon());
    assert(keyOf(lease) !== "10.3.9.0-24");
    assertEquals(await harness.raw.get("10.3.9.0-24"), from(A, B, 1, hostOf(C)));
  });

  test("what this process left to others is neither tried nor taken, with a mark or without, reserved or not", async (harness) => {
    const left = { "10.3.7.0-24": value(A), "10.3.8.0-24": from(A, B), "10.3.9.0-24": from(A, C) };
    for (const [key, text] of Object.entries(left)) {
      await harness.raw.put(key, text, key === "10.3.9.0-24" ? undefined : 600_000);
    }
    const passed = Object.keys(left).map((key) => subnets(key));
    const store = await harness.store(A);
    const wanted = { ...claim(A, network, passed[0]), self: claimant(A, passed) };
    const lease = await store.acquire(wanted, soon());
    assert(!(keyOf(lease) in left), keyOf(lease));
    for (const [key, text] of Object.entries(left)) assertEquals(await harness.raw.get(key), text);
  });

  test("another id's record elsewhere is nobody's business, and not ours to draw", async (harness) => {
    for (const n of [1, 2]) await harness.raw.put(`10.3.${n}.0-24`, from(`192.168.1.${n}`, B), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A, small, subnets("10.3.1.0-24")), soon());
    assertEquals([keyOf(lease), lease.record], ["10.3.3.0-24", ours(A)]);
  });
}

export function looking(test: Test): void {
  test("a look tells what stands, and whether it is what we wrote", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    const key = keyOf(lease);
    const look = async (known: Lease) => {
      const { found, asWritten } = await store.look(known);
      return [found && ("reason" in found ? "unreadable" : found.record), asWritten];
    };
    assertEquals(await look(lease), [ours(A), true]);
    const renewed = held(await store.renew(lease));
    assertEquals(await look(renewed), [ours(A), true]);
    const published = held(await store.publish(renewed, ours(A, OTHER_MAC)));
    assertEquals(await look(renewed), [ours(A, OTHER_MAC), false]);
    assertEquals(await look(published), [ours(A, OTHER_MAC), true]);
    await harness.raw.put(key, value(B), 600_000);
    assertEquals(await look(published), [record(B), false]);
    await harness.raw.put(key, "{", 600_000);
    assertEquals(await look(published), ["unreadable", false]);
    await harness.raw.delete(key);
    assertEquals(await look(published), [null, false]);
    await harness.raw.put(key, harness.value(A, OTHER_MAC), 600_000);
    assertEquals(await look(published), [ours(A, OTHER_MAC), false]);
  });

  test("what a look found can be written over, and only as long as it stands", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await harness.raw.put(keyOf(lease), value(B), 600_000);
    const { found } = await store.look(lease);
    assert(found !== null && "record" in found);
    const taken = held(await store.publish(found, ours(A, undefined, 2)));
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A, undefined, 2));
    assertEquals((await store.look(taken)).asWritten, true);
    assertEquals(lost(await store.publish(found, ours(A, undefined, 3))).lost, "taken");
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A, undefined, 2));
  });

  test("a record is created where nothing stands and nothing overlaps", async (harness) => {
    await harness.raw.put("10.3.7.0-24", value(B), 600_000);
    await harness.raw.put("10.3.8.0-24", "{", 600_000);
    await harness.raw.put("10.3.9.128-25", value(B), 600_000);
    const store = await harness.store(A);
    assertEquals(await store.create(subnets("10.3.7.0-24"), ours(A)), null);
    assertEquals(await harness.raw.get("10.3.7.0-24"), value(B));
    assertEquals(await store.create(subnets("10.3.8.0-24"), ours(A)), null);
    assertEquals((await store.list()).unreadable.map(({ key }) => key), ["10.3.8.0-24"]);
    const overlapping = await store.create(subnets("10.3.9.0-24"), ours(A));
    assert(overlapping !== null && isLost(overlapping));
    assertEquals([overlapping.lost, overlapping.by], ["taken", record(B)]);
    assertEquals(await harness.raw.get("10.3.9.0-24"), null);
    const created = await store.create(subnets("10.3.10.0-24"), ours(A, undefined, 3));
    assert(created !== null && !isLost(created));
    assertEquals(await harness.raw.get("10.3.10.0-24"), harness.value(A, undefined, 3));
    assert((await harness.raw.ttl("10.3.10.0-24"))! > LEASE_TTL_MS - 60_000);
    assertEquals((await store.look(created)).asWritten, true);
    assertEquals(await store.create(subnets("10.3.10.0-24"), ours(A)), null);
  });
}

/** A store that was restored from a backup uses versions again, for other records. */
export function remembering(test: Test): void {
  /** As somebody knows it who wrote this at the very version that stands. */
  const remembered = (lease: Lease, record: LeaseRecord): Lease => {
    const { halves } = lease as Partial<JoinedLease>;
    const half = (each: Lease | null) => each && { ...each, record };
    return { ...lease, record, ...(halves && { halves: { v2: half(halves.v2), v3: half(halves.v3) } }) };
  };

  test("the same version of another record is not ours: it is neither renewed, written over nor removed", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await harness.raw.delete(keyOf(lease));
    const stands = held((await (await harness.store(B)).create(lease.subnets, ours(B)))!);
    for (const other of [ours(A), ours(B, OTHER_MAC), ours(B, undefined, 2), record(B)]) {
      const known = remembered(stands, other);
      const look = await store.look(known);
      assert(look.found !== null && "record" in look.found);
      assertEquals([look.found.record, look.asWritten], [ours(B), false]);
      assertEquals(lost(await store.renew(known)), { lost: "taken", by: ours(B) });
      assertEquals(lost(await store.publish(known, ours(A))), { lost: "taken", by: ours(B) });
      await store.release(known);
      assertEquals(await harness.raw.get(keyOf(lease)), harness.value(B));
    }
    assert((await store.look(stands)).asWritten);
    held(await store.renew(stands));
  });
}
