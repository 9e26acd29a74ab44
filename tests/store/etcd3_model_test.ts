/** The etcd store on an etcd in memory: the conformance suite (of model and store alike), then faults on a clock moved by hand. */
import { assert, assertEquals } from "@std/assert";
import type { Lease } from "../../src/model/lease.ts";
import { V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { isLost, type Lost, type StoreEvent, StoreUnavailable } from "../../src/store/store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { FakeClock, seededRandom, settle } from "../support/clock.ts";
import { type EtcdCall, type EtcdFault, EtcdModel } from "../support/etcd_model.ts";
import { storeConformance } from "./conformance.ts";
import {
  claim,
  etcdPlace,
  type Harness,
  isPut,
  keyOf,
  none,
  ours,
  ownValue,
  Reader,
  record,
  value,
  watch,
} from "./harness.ts";

const PREFIX = "/coreos.com/network";
const A = "192.168.0.1";
const OTHER_MAC = "02:00:00:00:00:99";

function openModel(): Promise<Harness> {
  const clock = systemClock();
  const model = new EtcdModel(clock);
  const stores: V3Store[] = [];
  const key = (name: string) => etcdPlace(PREFIX, name);
  return Promise.resolve({
    clock,
    store(_hostIp, options) {
      const common = { prefix: PREFIX, previous: none, clock, random: systemRandom };
      const store = new V3Store(model.connect(), { ...common, ...options });
      stores.push(store);
      return Promise.resolve(store);
    },
    value: ownValue,
    setConfig: (text) => Promise.resolve(model.put(`${PREFIX}/config`, text)),
    raw: {
      get: (name) => {
        model.sweep();
        return Promise.resolve(model.keys.get(key(name))?.value ?? null);
      },
      put: (name, text, ttlMs) => {
        const lease = ttlMs === undefined ? "0" : model.grant(Math.ceil(ttlMs / 1000)).id;
        return Promise.resolve(model.put(key(name), text, lease));
      },
      delete: (name) => Promise.resolve(model.delete(key(name))),
      ttl: (name) => {
        const lease = model.leases.get(model.keys.get(key(name))!.lease);
        return Promise.resolve(lease === undefined ? null : lease.ends - clock.boot());
      },
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  });
}

storeConformance("etcd3 model", openModel, { shortTtlMs: 1000 });

interface Simulation {
  readonly clock: FakeClock;
  readonly model: EtcdModel;
  readonly store: V3Store;
}

function simulate(seed = 1): Simulation {
  const clock = new FakeClock();
  const model = new EtcdModel(clock);
  const random = seededRandom(seed);
  const store = new V3Store(model.connect(), { prefix: PREFIX, previous: none, clock, random });
  return { clock, model, store };
}

function test(name: string, body: (simulation: Simulation) => Promise<void>): void {
  Deno.test(`etcd3 simulation: ${name}`, async () => {
    const simulation = simulate();
    try {
      await body(simulation);
    } finally {
      await simulation.store[Symbol.asyncDispose]();
    }
  });
}

function acquired({ clock, store }: Simulation): Promise<Lease> {
  return clock.drive(store.acquire(claim(A), new AbortController().signal));
}

function held(result: Lease | Lost): Lease {
  assert(!isLost(result), Deno.inspect(result));
  return result;
}

function subnetKeys(model: EtcdModel): string[] {
  return [...model.keys.keys()].filter((key) => key.includes("/subnets/"));
}

/** Reads a watch until it has nothing more to tell for now. */
async function watching({ store }: Simulation): Promise<Reader<StoreEvent>> {
  const events = watch(store);
  await settle();
  return events;
}

const faults: readonly EtcdFault[] = ["fail", "lose reply", "twice"];

for (const fault of faults) {
  Deno.test(`etcd3 simulation: acquiring, with each call in turn ${fault}`, async () => {
    for (let at = 0; at < 12; at++) {
      const simulation = simulate(at);
      const { model, store } = simulation;
      model.inject = (_, number) => number === at ? fault : null;
      const lease = await acquired(simulation);
      model.inject = () => null;
      assertEquals(subnetKeys(model), [`${PREFIX}/subnets/${keyOf(lease)}`], `call ${at}`);
      assert(!isLost(await store.renew(lease)));
      const used = new Set([...model.keys.values()].map((kv) => kv.lease));
      const held = model.keys.get(subnetKeys(model)[0]!)!;
      assertEquals(lease.expires, model.leases.get(held.lease)!.ends, `call ${at}: as long as its own lease`);
      // A lost reply to a grant leaves a lease that nobody knows.
      assert(model.leases.size - used.size <= (fault === "fail" ? 0 : 1), `call ${at}: ${model.leases.size}`);
      await store[Symbol.asyncDispose]();
    }
  });

  Deno.test(`etcd3 simulation: publishing and renewing, with each call in turn ${fault}`, async () => {
    for (let at = 0; at < 8; at++) {
      const simulation = simulate(at);
      const { model, store } = simulation;
      const lease = await acquired(simulation);
      const first = model.calls;
      model.inject = (_, number) => number === first + at ? fault : null;
      const work = async () => held(await store.renew(held(await store.publish(lease, ours(A, OTHER_MAC)))));
      const failure = await work().then(() => null, (error: unknown) => error);
      model.inject = () => null;
      // Either it worked, or trying again does, over what stands: it is ours, as before or as it should be.
      assert(failure === null || (failure instanceof StoreUnavailable && fault !== "twice"), String(failure));
      if (failure !== null) {
        const { found, asWritten } = await store.look(lease);
        assert(found !== null && "record" in found);
        assertEquals(found.record, asWritten ? lease.record : ours(A, OTHER_MAC), `call ${at}`);
        held(await store.publish(held(await store.renew(found)), ours(A, OTHER_MAC)));
      }
      assertEquals([...model.keys.values()].map((kv) => kv.value), [ownValue(A, OTHER_MAC)], `call ${at}`);
      await store[Symbol.asyncDispose]();
    }
  });
}

test("a lease that ran out while etcd was away is reported, not brought back", async (simulation) => {
  const { clock, model, store } = simulation;
  const lease = await acquired(simulation);
  model.startOutage();
  await clock.advance(25 * 3_600_000);
  const failure = await store.renew(lease).catch((error: unknown) => error);
  assert(failure instanceof StoreUnavailable);
  model.endOutage();
  assertEquals(await store.renew(lease), { lost: "absent" });
  assertEquals(subnetKeys(model), []);
});

test("a list is one call, however many records and leases there are", async (simulation) => {
  const { clock, model, store } = simulation;
  await acquired(simulation);
  for (let n = 1; n <= 20; n++) {
    model.put(`${PREFIX}/subnets/10.3.${n}.0-24`, value(`192.168.1.${n}`), model.grant(600).id);
  }
  const before = model.calls;
  assert((await clock.drive(store.list())).leases.length >= 20);
  assertEquals(model.calls - before, 1);
});

test("the etcd lease ends between keep-alive and put: try again later", async (simulation) => {
  const { model, store } = simulation;
  const lease = await acquired(simulation);
  const { lease: id } = [...model.keys.values()][0]!;
  model.inject = (call: EtcdCall) => {
    if (call === "write") model.leases.delete(id);
    return null;
  };
  const failure = await store.publish(lease, ours(A, OTHER_MAC)).catch((error: unknown) => error);
  assert(failure instanceof StoreUnavailable, String(failure));
  model.inject = () => null;
  held(await store.publish(lease, ours(A, OTHER_MAC)));
});

test("another record at the same version, between our look and our write: nothing is written", async (simulation) => {
  const { model, store } = simulation;
  const lease = await acquired(simulation);
  const key = subnetKeys(model)[0]!;
  const other = ownValue("192.168.0.2");
  for (const write of [() => store.publish(lease, ours(A, OTHER_MAC)), () => store.release(lease)]) {
    const before = model.keys.get(key)!;
    model.inject = (call) => {
      if (call === "write") model.keys.set(key, { ...before, value: other });
      return null;
    };
    const result = await write();
    model.inject = () => null;
    if (result) assertEquals(result, { lost: "taken", by: ours("192.168.0.2") });
    assertEquals(model.keys.get(key), { ...before, value: other });
    model.keys.set(key, before);
  }
  assert((await store.look(lease)).asWritten);
});

test("a backup restored, and our revision given to another host's record: it is not taken for ours", async (simulation) => {
  const { clock, model, store } = simulation;
  const backup = model.snapshot();
  const lease = await acquired(simulation);
  const key = subnetKeys(model)[0]!;
  const { modRevision, lease: id } = model.keys.get(key)!;
  model.restore(backup);
  model.revision = modRevision - 1;
  model.leases.set(id, { ttl: 86_400, ends: clock.boot() + 86_400_000 });
  model.put(key, ownValue("192.168.0.2"), id);
  const known = { lost: "taken", by: ours("192.168.0.2") } as const;
  const { found, asWritten } = await store.look(lease);
  assert(found !== null && "record" in found);
  assertEquals([found.version, found.record, asWritten], [lease.version, ours("192.168.0.2"), false]);
  assertEquals([await store.renew(lease), await store.publish(lease, ours(A))], [known, known]);
  await store.release(lease);
  assertEquals(model.keys.get(key)!.value, ownValue("192.168.0.2"));
});

test("a watch that fell silent is found out within 10 minutes", async (simulation) => {
  const { clock, model } = simulation;
  await using events = await watching(simulation);
  model.muteWatches = true;
  model.put(`${PREFIX}/subnets/10.3.1.0-24`, value(A));
  await clock.advance(299_000);
  assertEquals(events.seen.length, 1);
  model.muteWatches = false;
  model.history = [];
  await clock.advance(301_000 + 2_100);
  const last = events.seen.at(-1)!;
  assert(events.seen.length === 2 && last.type === "snapshot" && last.leases.length === 1);
});

test("one lost change of a known key is found out too", async (simulation) => {
  const { clock, model } = simulation;
  model.put(`${PREFIX}/subnets/10.3.1.0-24`, value(A));
  await using events = await watching(simulation);
  model.dropEvents = 1;
  model.put(`${PREFIX}/subnets/10.3.1.0-24`, value(A, OTHER_MAC));
  await clock.advance(602_100);
  const last = events.seen.at(-1)!;
  assert(events.seen.length === 2 && last.type === "snapshot");
  assertEquals(last.leases[0]!.record, record(A, OTHER_MAC));
});

test("a watch that tells everything is never read again", async (simulation) => {
  const { clock, model } = simulation;
  await using events = await watching(simulation);
  for (let i = 1; i < 50; i++) {
    model.put(`${PREFIX}/subnets/10.3.${i}.0-24`, value(A));
    await clock.advance(97_000);
  }
  assertEquals(events.seen.length, 50);
  let lists = 0;
  model.inject = (call) => {
    lists += call === "range" ? 1 : 0;
    return null;
  };
  await clock.advance(3_600_000);
  assert(lists >= 6 && lists <= 12, `${lists} checks in an hour`);
});

test("another cluster behind the same address is read from its beginning", async (simulation) => {
  const { clock, model } = simulation;
  await using events = await watching(simulation);
  model.put(`${PREFIX}/subnets/10.3.1.0-24`, value(A));
  await settle();
  model.cluster = "2";
  model.keys.clear();
  model.breakWatches();
  await clock.advance(5_000);
  assertEquals(events.seen.map(({ type }) => type), ["snapshot", "put", "resumed", "snapshot"]);
});

test("a watch that was lost for a moment says so: what we wrote may be gone with a restored backup", async (simulation) => {
  const { clock, model } = simulation;
  await using events = await watching(simulation);
  model.breakWatches();
  await clock.advance(1_000);
  assertEquals(events.seen.map(({ type }) => type), ["snapshot", "resumed"]);
});

test("a backup restored, and the same revision given to another key: everything is read again", async (simulation) => {
  const { clock, model } = simulation;
  const backup = model.snapshot();
  await using events = await watching(simulation);
  model.put(`${PREFIX}/subnets/10.3.1.0-24`, value(A));
  await settle();
  model.restore(backup);
  model.put(`${PREFIX}/subnets/10.3.2.0-24`, value(A));
  await clock.advance(20_000);
  const last = events.seen.at(-1)!;
  assert(last.type === "snapshot", last.type);
  assertEquals(last.leases.map(keyOf), ["10.3.2.0-24"]);
});

test("a configuration that was restored and written again at the same revision is noticed", async (simulation) => {
  const { clock, model, store } = simulation;
  const backup = model.snapshot();
  model.put(`${PREFIX}/config`, '{"Network": "10.3.0.0/16"}');
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await settle();
  model.restore(backup);
  model.put(`${PREFIX}/config`, '{"Network": "10.4.0.0/16"}');
  await clock.advance(1_000);
  const told = readings.seen.map((reading) => reading.type === "config" ? reading.text : reading.error);
  assertEquals(told, ['{"Network": "10.3.0.0/16"}', '{"Network": "10.4.0.0/16"}']);
});

test("a backup from before: revisions go back, and everything is read again", async (simulation) => {
  const { clock, model } = simulation;
  const backup = model.snapshot();
  await using events = await watching(simulation);
  for (let i = 1; i < 9; i++) model.put(`${PREFIX}/subnets/10.3.${i}.0-24`, value(A));
  await settle();
  model.restore(backup);
  await clock.advance(1_000);
  const last = events.seen.at(-1)!;
  assert(last.type === "snapshot" && last.leases.length === 0);
});

test("attempts during an outage come at 0.1 to 5 seconds, and are told once", async (simulation) => {
  const { clock, model } = simulation;
  await using events = await watching(simulation);
  model.startOutage();
  const times: number[] = [];
  model.inject = (call) => {
    if (call === "watch") times.push(clock.boot());
    return null;
  };
  await clock.advance(600_000);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  assert(gaps.every((gap) => gap >= 50 && gap <= 5_001), gaps.join());
  assert(times.length > 120 && times.length < 300, `${times.length} attempts in 10 minutes`);
  model.put(`${PREFIX}/subnets/10.3.1.0-24`, value(A));
  model.endOutage();
  await clock.advance(5_100);
  assert(events.seen.some(isPut("10.3.1.0-24")));
  assertEquals(events.seen.map(({ type }) => type), ["snapshot", "outage", "recovered", "put"]);
});

test("the configuration: each cause once in an outage, and the last state after it", async (simulation) => {
  const { clock, model, store } = simulation;
  model.put(`${PREFIX}/config`, '{"Network": "10.3.0.0/16"}');
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await settle();
  for (const reason of ["refused", "no answer", "refused", "no answer"]) {
    model.startOutage(reason);
    await clock.advance(60_000);
  }
  model.endOutage();
  await clock.advance(6_000);
  const told = readings.seen.map((reading) => reading.type === "config" ? "config" : reading.error);
  assertEquals(told, ["config", "refused", "no answer", "config"]);
});
