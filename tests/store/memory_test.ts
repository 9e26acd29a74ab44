/** The memory store: the conformance suite, and the faults that simulations ask it for. */
import { assertEquals } from "@std/assert";
import { LEASE_TTL_MS } from "../../src/store/lease_table.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { MemoryCluster, type MemoryStore } from "../../src/store/rows/memory.ts";
import type { Store, StoreEvent } from "../../src/store/store.ts";
import { FakeClock, seededRandom } from "../support/clock.ts";
import { storeConformance } from "./conformance.ts";
import { claim, type Harness, keyOf, ownValue, value } from "./harness.ts";

function openMemory(): Promise<Harness> {
  const clock = systemClock();
  const cluster = new MemoryCluster(clock);
  const stores: Store[] = [];
  return Promise.resolve({
    clock,
    store(_hostIp, options) {
      const store = cluster.store({ random: systemRandom, ...options });
      stores.push(store);
      return Promise.resolve(store);
    },
    value: ownValue,
    setConfig: (text) => Promise.resolve(cluster.setConfig(text)),
    raw: {
      get: (key) => Promise.resolve(cluster.get(key)),
      put: (key, value, ttlMs) => Promise.resolve(cluster.put(key, value, ttlMs ?? null)),
      delete: (key) => Promise.resolve(cluster.delete(key)),
      ttl: (key) => Promise.resolve(cluster.ttl(key)),
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  });
}

// Long enough for a busy machine to renew in time, four times in a life.
storeConformance("memory", openMemory, { shortTtlMs: 1_000 });

function simulation(): { clock: FakeClock; cluster: MemoryCluster; open: () => MemoryStore } {
  const clock = new FakeClock();
  const cluster = new MemoryCluster(clock);
  return { clock, cluster, open: () => cluster.store({ random: seededRandom(1) }) };
}

/** Reads in the background into the list it returns. */
function collect(store: Store, signal: AbortSignal): StoreEvent[] {
  const seen: StoreEvent[] = [];
  (async () => {
    for await (const event of store.watch(signal)) seen.push(event);
  })();
  return seen;
}

const kinds = (events: readonly StoreEvent[]) => events.map((event) => event.type);
const pending = new AbortController().signal;

Deno.test("memory: an outage is told once, and its changes afterwards, without a snapshot", async () => {
  const { clock, cluster, open } = simulation();
  const abort = new AbortController();
  const seen = collect(open(), abort.signal);
  await clock.advance(1);
  cluster.startOutage();
  cluster.put("10.3.7.0-24", value("192.168.0.7"), 600_000);
  await clock.advance(60_000);
  assertEquals(kinds(seen), ["snapshot", "outage"]);
  cluster.endOutage();
  await clock.advance(6_000);
  assertEquals(kinds(seen), ["snapshot", "outage", "recovered", "put"]);
  cluster.startOutage();
  cluster.delete("10.3.7.0-24");
  cluster.compact();
  await clock.advance(1_000);
  cluster.endOutage();
  await clock.advance(6_000);
  assertEquals(kinds(seen).slice(4), ["outage", "recovered", "snapshot"]);
  abort.abort();
  await clock.advance(0);
  assertEquals(clock.sleeping, 0);
});

Deno.test("memory: a host that is cut off waits alone", async () => {
  const { clock, cluster, open } = simulation();
  const [cut, whole] = [open(), open()];
  cut.disconnect();
  const waiting = cut.acquire(claim("192.168.0.1"), pending);
  await clock.drive(whole.acquire(claim("192.168.0.2"), pending));
  await clock.advance(60_000);
  assertEquals(cluster.keys().length, 1);
  cut.reconnect();
  await clock.drive(waiting);
  assertEquals(cluster.keys().length, 2);
});

Deno.test("memory: a lost reply leads to no second lease, whichever operation it was", async () => {
  for (let broken = 0; broken < 4; broken++) {
    for (const fault of ["fail", "lose reply"] as const) {
      const { clock, cluster, open } = simulation();
      cluster.inject = (_operation, number) => number === broken ? fault : null;
      cluster.latencyMs = 10;
      const lease = await clock.drive(open().acquire(claim("192.168.0.1"), pending));
      assertEquals(cluster.keys(), [keyOf(lease)], `${fault} at ${broken}`);
    }
  }
});

Deno.test("memory: a watch that missed changes finds out within ten minutes", async () => {
  const { clock, cluster, open } = simulation();
  const abort = new AbortController();
  const seen = collect(open(), abort.signal);
  await clock.advance(1);
  cluster.dropEvents = 1;
  cluster.put("10.3.7.0-24", value("192.168.0.7"));
  await clock.advance(1_000);
  assertEquals(kinds(seen), ["snapshot"]);
  await clock.advance(600_000);
  assertEquals(kinds(seen), ["snapshot", "snapshot"]);
  await clock.advance(6_000_000);
  assertEquals(kinds(seen), ["snapshot", "snapshot"]);
  abort.abort();
});

Deno.test("memory: leases run out on the cluster's clock", async () => {
  const { clock, cluster, open } = simulation();
  const store = open();
  const abort = new AbortController();
  const seen = collect(store, abort.signal);
  const lease = await clock.drive(store.acquire(claim("192.168.0.1"), pending));
  await clock.advance(LEASE_TTL_MS - 1);
  assertEquals(cluster.ttl(keyOf(lease)), 1);
  await clock.advance(1);
  assertEquals(kinds(seen), ["snapshot", "put", "delete"]);
  assertEquals(await clock.drive(store.renew(lease)), { lost: "absent" });
  abort.abort();
});
