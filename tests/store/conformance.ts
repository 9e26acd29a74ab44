/**
 * What holds for every store that allocates, whatever it is made of. A store's test file calls `storeConformance` with a way
 * to open an empty database; everything here goes through the contract and through raw access beside it.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { conflicting } from "../../src/model/allocate.ts";
import { Failure } from "../../src/model/errors.ts";
import { describeSubnets, type Lease, sameSubnets } from "../../src/model/lease.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { containsPrefix, parsePrefix } from "../../src/model/prefix.ts";
import { LEASE_TTL_MS } from "../../src/store/lease_table.ts";
import { type Claim, type ConfigReading, isLost, type StoreEvent } from "../../src/store/store.ts";
import {
  claim,
  type Harness,
  held,
  isDelete,
  isPut,
  isUnreadable,
  keyOf,
  lost,
  network,
  ours,
  Reader,
  record,
  soon,
  subnets,
  type Test,
  value,
  watch,
  within,
} from "./harness.ts";
import { families } from "./ipv6_alone.ts";
import { looking, remembering, taking } from "./taking.ts";

export type { Harness, RawAccess } from "./harness.ts";

export interface ConformanceOptions {
  /** Why the store can't be tested here; the tests then count as ignored. */
  readonly ignore?: boolean;
  /** Lifetime for tests that wait for an expiry: the shortest that the store honours. */
  readonly shortTtlMs: number;
  /** A change of the configuration takes two writes; what stands between them is told as a problem. */
  readonly configInTwo?: boolean;
  /** False where there is no place for hosts with IPv6 alone. */
  readonly ipv6Alone?: boolean;
}

const small = parseNetworkConfig('{"Network": "10.3.0.0/22"}');
const dual = parseNetworkConfig(
  '{"Network": "10.3.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:3::/48"}',
);
const A = "192.168.0.1";
const B = "192.168.0.2";
const OTHER_MAC = "02:00:00:00:00:99";

/** Registers the suite's tests under `name`. */
export function storeConformance(
  name: string,
  open: () => Promise<Harness>,
  options: ConformanceOptions,
): void {
  const { ignore = false, shortTtlMs, configInTwo = false, ipv6Alone = true } = options;
  const test = (title: string, body: (harness: Harness) => Promise<void>) =>
    Deno.test({
      name: `${name}: ${title}`,
      ignore,
      sanitizeOps: true,
      sanitizeResources: true,
      async fn() {
        await using harness = await open();
        await body(harness);
      },
    });
  acquiring(test);
  racing(test);
  taking(test);
  keeping(test);
  looking(test);
  remembering(test);
  reserving(test);
  watching(test, shortTtlMs);
  configuring(test, configInTwo);
  ending(test);
  families(test, ipv6Alone);
}

function acquiring(test: Test): void {
  test("a subnet in range, written as upstream writes it and with our mark, for 24 hours", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    assert(containsPrefix(parsePrefix("10.3.0.0/16")!, lease.subnets.v4!));
    assertEquals(lease.subnets.v4!.length, 24);
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A));
    const ttl = await harness.raw.ttl(keyOf(lease));
    assert(ttl !== null && ttl > LEASE_TTL_MS - 60_000 && ttl <= LEASE_TTL_MS + 1000, `${ttl}`);
    const left = lease.expires! - harness.clock.boot();
    assert(left > LEASE_TTL_MS - 60_000 && left <= LEASE_TTL_MS + 1000, `${left}`);
  });

  test("our record is adopted, also by a new daemon, which writes that it came later", async (harness) => {
    const first = await (await harness.store(A)).acquire(claim(A), soon());
    const again = await (await harness.store(A)).acquire(claim(A), soon());
    assertEquals(describeSubnets(again.subnets), describeSubnets(first.subnets));
    assertEquals(again.created, first.created);
    assertEquals(again.record, ours(A, undefined, 2));
    assertEquals(await harness.raw.get(keyOf(again)), harness.value(A, undefined, 2));
    assertEquals((await (await harness.store(B)).list()).leases.length, 1);
  });

  test("an adopted record gets our content", async (harness) => {
    await harness.raw.put("10.3.9.0-24", value(A, OTHER_MAC), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A), soon());
    assertEquals(keyOf(lease), "10.3.9.0-24");
    assertEquals(await harness.raw.get("10.3.9.0-24"), harness.value(A));
  });

  test("the previous subnet is taken where it is free", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A, network, subnets("10.3.77.0-24")), soon());
    assertEquals(keyOf(lease), "10.3.77.0-24");
  });

  test("a previous subnet outside the network is ignored", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A, network, subnets("10.9.77.0-24")), soon());
    assert(containsPrefix(network.v4!.network, lease.subnets.v4!));
  });

  test("a previous subnet that is another's stays theirs", async (harness) => {
    await harness.raw.put("10.3.77.0-24", value(B), 600_000);
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A, network, subnets("10.3.77.0-24")), soon());
    assert(keyOf(lease) !== "10.3.77.0-24");
    assertEquals(await harness.raw.get("10.3.77.0-24"), value(B));
  });

  test("after a change of the network the old record goes and a new one comes", async (harness) => {
    const store = await harness.store(A);
    const old = await store.acquire(claim(A), soon());
    const changed = parseNetworkConfig('{"Network": "10.4.0.0/16", "SubnetLen": 26}');
    const lease = await store.acquire(claim(A, changed, old.subnets), soon());
    assert(containsPrefix(changed.v4!.network, lease.subnets.v4!) && lease.subnets.v4!.length === 26);
    assertEquals(await harness.raw.get(keyOf(old)), null);
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A));
  });

  test("dual stack: both families in one key", async (harness) => {
    const lease = await (await harness.store(A)).acquire(claim(A, dual), soon());
    assert(/^10\.3\.\d+\.0-24&fd00:3:0:[\da-f]+::-64$/.test(keyOf(lease)), keyOf(lease));
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A));
  });

  test("no subnet left: the error counts them", async (harness) => {
    for (const n of [1, 2, 3]) await harness.raw.put(`10.3.${n}.0-24`, value(`192.168.1.${n}`), 600_000);
    const store = await harness.store(A);
    await assertRejects(() => store.acquire(claim(A, small), soon()), Failure, "out of subnets: all 3 /24");
  });

  test("a record that can't be read keeps its subnet", async (harness) => {
    await harness.raw.put("10.3.1.64-26", "not JSON", 600_000);
    await harness.raw.put("10.3.2.0-24", value(B), 600_000);
    const lease = await (await harness.store(A)).acquire(claim(A, small), soon());
    assertEquals(keyOf(lease), "10.3.3.0-24");
  });
}

function racing(test: Test): void {
  const race = async (harness: Harness, claims: readonly Claim[]): Promise<Lease[]> => {
    const stores = await Promise.all(claims.map((_, i) => harness.store(host(i))));
    return await Promise.all(stores.map((store, i) => store.acquire(claims[i]!, soon())));
  };
  const host = (i: number) => `192.168.2.${i + 1}`;
  const disjoint = (leases: readonly Lease[]) =>
    leases.every((a, i) => leases.slice(i + 1).every((b) => !conflicting(a.subnets, b.subnets)));

  test("20 hosts at once get 20 subnets", async (harness) => {
    const leases = await race(harness, Array.from({ length: 20 }, (_, i) => claim(host(i))));
    assert(disjoint(leases), leases.map(keyOf).join(" "));
    assertEquals((await (await harness.store(A)).list()).leases.length, 20);
  });

  test("20 hosts at once share no subnet of either family", async (harness) => {
    const leases = await race(harness, Array.from({ length: 20 }, (_, i) => claim(host(i), dual)));
    assert(disjoint(leases), leases.map(keyOf).join(" "));
    assertEquals((await (await harness.store(A)).list()).leases.length, 20);
  });

  test("hosts that lose the race for the last subnets try again", async (harness) => {
    const wanted = subnets("10.3.1.0-24");
    const leases = await race(harness, [0, 1, 2].map((i) => claim(host(i), small, wanted)));
    assertEquals(leases.map(keyOf).sort(), ["10.3.1.0-24", "10.3.2.0-24", "10.3.3.0-24"]);
  });
}

function keeping(test: Test): void {
  test("renewing extends the lease and keeps the record", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await harness.clock.sleep(5);
    const renewed = held(await store.renew(lease));
    assert(renewed.expires! >= lease.expires!, `${renewed.expires} ${lease.expires}`);
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A));
    assertEquals(held(await store.renew(renewed)).subnets, lease.subnets);
  });

  test("renewing a deleted lease does not bring it back", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await harness.raw.delete(keyOf(lease));
    assertEquals(lost(await store.renew(lease)).lost, "absent");
    assertEquals(await harness.raw.get(keyOf(lease)), null);
  });

  test("renewing and publishing leave alone what another host took", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await harness.raw.delete(keyOf(lease));
    await harness.raw.put(keyOf(lease), value(B), 600_000);
    const renewed = lost(await store.renew(lease));
    assertEquals(renewed.lost, "taken");
    assertEquals(renewed.by, record(B));
    assertEquals(lost(await store.publish(lease, ours(A, OTHER_MAC))).lost, "taken");
    await store.release(lease);
    assertEquals(await harness.raw.get(keyOf(lease)), value(B));
  });

  test("publishing changes the record under a full lease time", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    const published = held(await store.publish(lease, ours(A, OTHER_MAC)));
    assertEquals(published.record, ours(A, OTHER_MAC));
    assertEquals(published.created, lease.created);
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A, OTHER_MAC));
    assert((await harness.raw.ttl(keyOf(lease)))! > LEASE_TTL_MS - 60_000);
    assert(!isLost(await store.renew(published)));
  });

  test("publishing on an old version changes nothing", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    held(await store.publish(lease, ours(A, OTHER_MAC)));
    const late = lost(await store.publish(lease, ours(A, "02:00:00:00:00:77")));
    assertEquals(late.lost, "taken");
    assertEquals(late.by, ours(A, OTHER_MAC));
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A, OTHER_MAC));
  });

  test("publishing a deleted lease does not bring it back", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await harness.raw.delete(keyOf(lease));
    assertEquals(lost(await store.publish(lease, ours(A, OTHER_MAC))).lost, "absent");
    assertEquals(await harness.raw.get(keyOf(lease)), null);
  });

  test("a released subnet is gone, once is enough", async (harness) => {
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    await store.release(lease);
    assertEquals(await harness.raw.get(keyOf(lease)), null);
    await store.release(lease);
  });
}

function reserving(test: Test): void {
  test("a reservation stays one through adoption, publishing and renewal", async (harness) => {
    await harness.raw.put("10.3.42.0-24", value(A, OTHER_MAC));
    const store = await harness.store(A);
    const adopted = await store.acquire(claim(A), soon());
    assertEquals([keyOf(adopted), adopted.expires], ["10.3.42.0-24", null]);
    assertEquals((await store.list()).leases.map(({ expires }) => expires), [null]);
    assertEquals(await harness.raw.get("10.3.42.0-24"), harness.value(A));
    const published = held(await store.publish(adopted, ours(A, OTHER_MAC)));
    assertEquals(published.expires, null);
    assertEquals(held(await store.renew(published)).expires, null);
    assertEquals(held(await store.renew(published)).version, published.version);
    assertEquals(await harness.raw.ttl("10.3.42.0-24"), null);
    const again = await store.acquire({ ...claim(A), record: record(A, OTHER_MAC) }, soon());
    assertEquals(again.expires, null);
    assertEquals(await harness.raw.get("10.3.42.0-24"), harness.value(A, OTHER_MAC, 2));
    assertEquals(await harness.raw.ttl("10.3.42.0-24"), null);
  });

  test("a lost reservation is noticed", async (harness) => {
    await harness.raw.put("10.3.42.0-24", value(A));
    const store = await harness.store(A);
    const adopted = await store.acquire(claim(A), soon());
    await harness.raw.delete("10.3.42.0-24");
    assertEquals(lost(await store.renew(adopted)).lost, "absent");
  });
}

function watching(test: Test, shortTtlMs: number): void {
  test("a watch opens with all leases, our own included, and goes on with changes", async (harness) => {
    await harness.raw.put("10.3.7.0-24", value(B), 600_000);
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A, network, subnets("10.3.20.0-24")), soon());
    await using events = watch(store);
    const first = await events.until("a snapshot", () => true);
    assert(first.type === "snapshot");
    assertEquals(first.leases.map(keyOf).sort(), [keyOf(lease), "10.3.7.0-24"].sort());
    assertEquals(first.leases.find((l) => keyOf(l) === "10.3.7.0-24")?.record, record(B));
    await harness.raw.put("10.3.8.0-24", value("192.168.0.3"), 600_000);
    await events.until("the new lease", isPut("10.3.8.0-24"));
    await harness.raw.put("10.3.7.0-24", value(B, OTHER_MAC), 600_000);
    await events.until("the changed record", isPut("10.3.7.0-24", OTHER_MAC));
    await harness.raw.delete("10.3.8.0-24");
    await events.until("the removal", isDelete("10.3.8.0-24"));
    const published = held(await store.publish(lease, ours(A, OTHER_MAC)));
    await events.until("our own change", isPut(keyOf(lease), OTHER_MAC));
    await store.release(published);
    await events.until("our own removal", isDelete(keyOf(lease)));
    assertEquals(events.seen.filter((event) => event.type === "snapshot").length, 1);
  });

  test("another host's store sees what one does", async (harness) => {
    await using events = watch(await harness.store(B));
    await events.until("a snapshot", (event) => event.type === "snapshot");
    const store = await harness.store(A);
    const lease = await store.acquire(claim(A), soon());
    const asAcquired = (event: StoreEvent) =>
      isPut(keyOf(lease))(event) && event.type === "put" && event.lease.version === lease.version;
    const put = await events.until("the lease", asAcquired);
    assert(put.type === "put" && sameSubnets(put.lease.subnets, lease.subnets));
    assertEquals(put.lease.created, lease.created);
    await store.release(lease);
    await events.until("the release", isDelete(keyOf(lease)));
  });

  test("a snapshot lists what can't be read beside the rest", async (harness) => {
    await harness.raw.put("10.3.7.0-24", value(B), 600_000);
    await harness.raw.put("10.3.8.0-24", '{"PublicIP":null}', 600_000);
    await harness.raw.put("zzz", value(B), 600_000);
    await using events = watch(await harness.store(A));
    const first = await events.until("a snapshot", () => true);
    assert(first.type === "snapshot");
    assertEquals(first.leases.map(keyOf), ["10.3.7.0-24"]);
    const unreadable = first.unreadable.toSorted((a, b) => a.key < b.key ? -1 : 1);
    assertEquals(unreadable.map(({ key, subnets }) => [key, subnets && describeSubnets(subnets)]), [
      ["10.3.8.0-24", "10.3.8.0/24"],
      ["zzz", null],
    ]);
    assert(unreadable.every(({ reason }) => reason !== ""));
  });

  test("what can't be read is told as such and hides nothing else", async (harness) => {
    await harness.raw.put("10.3.7.0-24", value(B), 600_000);
    await using events = watch(await harness.store(A));
    await events.until("a snapshot", (event) => event.type === "snapshot");
    await harness.raw.put("10.3.7.0-24", "{", 600_000);
    const broken = await events.until("the broken value", isUnreadable("10.3.7.0-24"));
    assert(broken.type === "unreadable" && broken.unreadable.subnets !== null);
    await harness.raw.put("zzz", value(B), 600_000);
    const strange = await events.until("the strange key", isUnreadable("zzz"));
    assert(strange.type === "unreadable" && strange.unreadable.subnets === null);
    await harness.raw.put("10.3.8.0-24", value("192.168.0.3"), 600_000);
    await events.until("a good lease after them", isPut("10.3.8.0-24"));
    await harness.raw.put("10.3.7.0-24", value(B), 600_000);
    await events.until("the repaired value", isPut("10.3.7.0-24"));
    await harness.raw.delete("zzz");
    await events.until("the strange key's end", (event) => event.type === "gone" && event.key === "zzz");
    const told = events.seen.filter(({ type }) => type === "unreadable" || type === "snapshot");
    assertEquals(told.length, 3, `each is told once: ${Deno.inspect(told)}`);
    assert(!events.seen.some((event) => event.type === "delete"));
  });

  test("a lease that runs out is told as removed", async (harness) => {
    await using events = watch(await harness.store(B));
    await events.until("a snapshot", (event) => event.type === "snapshot");
    const store = await harness.store(A, { ttlMs: shortTtlMs });
    const lease = await store.acquire(claim(A), soon());
    await events.until("the lease", isPut(keyOf(lease)));
    await events.until("its end", isDelete(keyOf(lease)));
    assertEquals(await harness.raw.get(keyOf(lease)), null);
    assertEquals(lost(await store.renew(lease)).lost, "absent");
  });

  test("a renewed lease outlives its first lifetime", async (harness) => {
    const store = await harness.store(A, { ttlMs: shortTtlMs });
    let lease = await store.acquire(claim(A), soon());
    const first = lease.expires!;
    while (harness.clock.boot() < first + shortTtlMs) {
      await harness.clock.sleep(shortTtlMs / 4);
      lease = held(await store.renew(lease));
    }
    assertEquals(await harness.raw.get(keyOf(lease)), harness.value(A));
  });
}

function configuring(test: Test, inTwo: boolean): void {
  const typesOf = (readings: Reader<ConfigReading>) => {
    const types = readings.seen.map(({ type }) => type);
    return inTwo ? types.filter((type, i) => type !== types[i - 1]) : types;
  };

  test("the configuration is told now, after a change, and after a repair", async (harness) => {
    await harness.setConfig('{"Network": "10.3.0.0/16"}');
    const store = await harness.store(A);
    await using readings = new Reader((signal) => store.watchConfig(signal));
    const first = await readings.until("the configuration", () => true);
    assert(first.type === "config" && first.config.v4?.subnetLen === 24);
    await harness.setConfig('{"Network": "10.3.0.0/99"}');
    const problem = await readings.until("the problem", ({ type }) => type === "problem");
    assert(problem.type === "problem" && problem.error.includes("10.3.0.0/99"), Deno.inspect(problem));
    await harness.setConfig('{"Network": "10.3.0.0/16", "SubnetLen": 26}');
    await readings.until("the repair", (r) => r.type === "config" && r.config.v4?.subnetLen === 26);
    assertEquals(typesOf(readings), ["config", "problem", "config"]);
  });

  test("without a configuration there is a problem, once, until there is one", async (harness) => {
    const store = await harness.store(A);
    await using readings = new Reader((signal) => store.watchConfig(signal));
    await readings.until("the problem", ({ type }) => type === "problem");
    await harness.setConfig('{"Network": "10.3.0.0/16"}');
    await readings.until("the configuration", ({ type }) => type === "config");
    assertEquals(typesOf(readings), ["problem", "config"]);
  });
}

function ending(test: Test): void {
  test("aborting ends a watch that nobody reads", async (harness) => {
    await harness.setConfig('{"Network": "10.3.0.0/16"}');
    const store = await harness.store(A);
    const abort = new AbortController();
    const unread = store.watch(abort.signal)[Symbol.asyncIterator]();
    const events = store.watch(abort.signal)[Symbol.asyncIterator]();
    const readings = store.watchConfig(abort.signal)[Symbol.asyncIterator]();
    assertEquals((await events.next()).value?.type, "snapshot");
    assertEquals((await readings.next()).value?.type, "config");
    const pending = events.next();
    await harness.raw.put("10.3.7.0-24", value(B), 600_000);
    await harness.raw.put("10.3.8.0-24", value(B), 600_000);
    abort.abort();
    const ended = async (iterator: AsyncIterator<unknown>) => {
      while (!(await iterator.next()).done);
    };
    await within(
      3_000,
      "all end",
      Promise.all([pending, ended(unread), ended(events), ended(readings)]),
    );
  });

  test("aborting ends an attempt to acquire", async (harness) => {
    const store = await harness.store(A);
    const reason = new Error("asked to stop");
    await assertRejects(() => store.acquire(claim(A), AbortSignal.abort(reason)), Error, "asked to stop");
    assertEquals((await store.list()).leases, []);
  });

  test("disposing ends what still runs", async (harness) => {
    const store = await harness.store(A);
    const events = store.watch(new AbortController().signal)[Symbol.asyncIterator]();
    assertEquals((await events.next()).value?.type, "snapshot");
    const pending = events.next();
    await within(3_000, "the store closes", store[Symbol.asyncDispose]());
    assertEquals((await within(3_000, "the watch ends", pending)).done, true);
  });
}
