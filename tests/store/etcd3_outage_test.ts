/** What happens to the etcd store when etcd, or the way to it, fails: nothing is lost, nothing is told twice. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { openV3Store, type V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { isLost, type StoreEvent, StoreUnavailable } from "../../src/store/store.ts";
import { EtcdCluster, fastDirectory } from "../support/etcd.ts";
import { Gate } from "../support/gate.ts";
import { etcdHarness, etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { claim, isDelete, isPut, keyOf, Reader, record, soon, value, watch } from "./harness.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network": "10.3.0.0/16"}';
const A = "192.168.0.1";
const B = "192.168.0.2";

/** An etcd, the way to it, and one host's store at the end of it. */
interface Setup extends AsyncDisposable {
  readonly etcd: EtcdCluster;
  readonly gate: Gate;
  readonly store: V3Store;
  readonly log: string[];
  readonly put: (key: string, mac?: string) => Promise<void>;
  readonly delete: (key: string) => Promise<void>;
  /** Forgets all history up to now. */
  readonly compact: () => Promise<void>;
}

async function setup(): Promise<Setup> {
  const etcd = await EtcdCluster.start();
  const gate = new Gate(etcd.endpoints);
  const log: string[] = [];
  const store = await openV3Store(flags(`http://127.0.0.1:${gate.port}`, { log: recordingLog(log) }));
  const { raw } = etcdHarness(etcd, PREFIX);
  return {
    etcd,
    gate,
    store,
    log,
    put: (key, mac) => raw.put(key, value(B, mac), 600_000),
    delete: (key) => raw.delete(key),
    compact: async () => {
      const { header } = JSON.parse(await etcd.ctl("get", "-w", "json", "x"));
      await etcd.ctl("compact", "--physical", String(header.revision));
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await gate[Symbol.asyncDispose]();
      await etcd[Symbol.asyncDispose]();
    },
  };
}

function test(name: string, body: (setup: Setup) => Promise<void>): void {
  etcdTest(`etcd3 outage: ${name}`, async () => {
    await using all = await setup();
    await body(all);
  });
}

const isSnapshot = (event: StoreEvent) => event.type === "snapshot";
const isOutage = (event: StoreEvent) => event.type === "outage";
const isRecovered = (event: StoreEvent) => event.type === "recovered";
const types = (events: readonly StoreEvent[]) => events.map(({ type }) => type);
/** The snapshot after the first. */
function second(events: Reader<StoreEvent>): Promise<StoreEvent> {
  const first = events.seen.find(isSnapshot);
  return events.until("another snapshot", (event) => isSnapshot(event) && event !== first);
}

test("changes during an outage come after it, once and in order", async ({ gate, store, put, ...raw }) => {
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  gate.shut();
  await events.until("the outage", isOutage);
  await put("10.3.1.0-24");
  await put("10.3.2.0-24");
  await put("10.3.1.0-24", "02:00:00:00:00:99");
  await raw.delete("10.3.2.0-24");
  gate.open();
  await events.until("the last change", isDelete("10.3.2.0-24"));
  await put("10.3.3.0-24");
  await events.until("a live change", isPut("10.3.3.0-24"));
  const expected = ["snapshot", "outage", "recovered", "put", "put", "put", "delete", "put"];
  assertEquals(types(events.seen), expected);
});

test("a connection that is lost and found at once is no outage", async ({ gate, store, put }) => {
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  // Only a watch that stands can be resumed.
  await put("10.3.9.0-24");
  await events.until("a live change", isPut("10.3.9.0-24"));
  for (const i of [1, 2, 3]) {
    gate.cut();
    await put(`10.3.${i}.0-24`);
    await events.until("the change", isPut(`10.3.${i}.0-24`));
  }
  assertEquals(types(events.seen), [
    "snapshot",
    "put",
    ...["resumed", "put"],
    ...["resumed", "put"],
    ...["resumed", "put"],
  ]);
});

test("an outage is told once, however long; calls say what is wrong", async ({ gate, store }) => {
  await using events = watch(store);
  const lease = await store.acquire(claim(A), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  gate.shut();
  const outage = await events.until("the outage", isOutage);
  assert(outage.type === "outage");
  assertMatch(
    outage.error,
    /^connect to etcd "http:\/\/127\.0\.0\.1:\d+": connection refused; start etcd there/,
  );
  for (let i = 0; i < 3; i++) {
    const failure = await store.renew(lease).catch((error: unknown) => error);
    assert(failure instanceof StoreUnavailable, String(failure));
  }
  const failure = await store.publish(lease, record(A)).catch((error: unknown) => error);
  assert(failure instanceof StoreUnavailable, String(failure));
  gate.open();
  await events.until("the end of the outage", isRecovered);
  assert(!isLost(await store.renew(lease)));
  assertEquals(types(events.seen), ["snapshot", "put", "outage", "recovered"]);
});

test("a way that swallows everything is noticed, and what was lost comes after", async ({ gate, store, put }) => {
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await put("10.3.1.0-24");
  await events.until("a change", isPut("10.3.1.0-24"));
  gate.hang();
  await events.until("the outage", isOutage);
  await put("10.3.2.0-24");
  gate.unhang();
  await events.until("the change", isPut("10.3.2.0-24"));
  assertEquals(types(events.seen), ["snapshot", "put", "outage", "recovered", "put"]);
});

test("history that etcd has forgotten meanwhile: everything is read again", async (all) => {
  const { gate, store, put, log } = all;
  await put("10.3.1.0-24");
  await put("10.3.2.0-24");
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  gate.shut();
  await events.until("the outage", isOutage);
  await all.delete("10.3.1.0-24");
  await put("10.3.2.0-24", "02:00:00:00:00:99");
  await put("10.3.3.0-24");
  await all.compact();
  gate.open();
  const snapshot = await second(events);
  assert(snapshot.type === "snapshot");
  assertEquals(snapshot.leases.map(keyOf).sort(), ["10.3.2.0-24", "10.3.3.0-24"]);
  assertEquals(snapshot.restored, false);
  assertMatch(JSON.stringify(snapshot.leases[0]!.record.backendData), /:99/);
  await put("10.3.4.0-24");
  await events.until("a live change", isPut("10.3.4.0-24"));
  assertEquals(types(events.seen), ["snapshot", "outage", "recovered", "snapshot", "put"]);
  assertEquals(log.filter((line) => line.includes("compacted")).length, 1, log.join("\n"));
});

test("an established watch, a compaction and a restart of etcd", async (all) => {
  const { etcd, store, put } = all;
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await put("10.3.1.0-24");
  await put("10.3.1.0-24", "02:00:00:00:00:99");
  await events.until("the change", isPut("10.3.1.0-24", ":99"));
  await all.compact();
  await etcd.members[0]!.kill();
  await events.until("the outage", isOutage);
  etcd.members[0]!.launch();
  await etcd.ready();
  await put("10.3.2.0-24");
  await events.until("a live change", isPut("10.3.2.0-24"));
});

// Compacted exactly at the deletion, etcd 3.4 loses it without a word: only the count of keys gives it away.
test("our own record removed below the horizon: the snapshot lacks it", async (all) => {
  const { gate, store } = all;
  await using events = watch(store);
  const lease = await store.acquire(claim(A), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  gate.shut();
  await events.until("the outage", isOutage);
  await all.delete(keyOf(lease));
  await all.compact();
  gate.open();
  const snapshot = await second(events);
  assert(snapshot.type === "snapshot");
  assertEquals(snapshot.leases, []);
});

test("etcd restored from a backup goes back in time: everything is read again", async (all) => {
  const { etcd, store, put } = all;
  const backup = `${await fastDirectory()}/backup`;
  await put("10.3.1.0-24");
  await etcd.backup(backup);
  for (let i = 2; i < 20; i++) await put(`10.3.${i}.0-24`);
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await etcd.members[0]!.stop();
  await etcd.restore(backup);
  etcd.members[0]!.launch();
  await etcd.ready();
  const snapshot = await second(events);
  assert(snapshot.type === "snapshot");
  assertEquals(snapshot.leases.map(keyOf), ["10.3.1.0-24"]);
  assertEquals(snapshot.restored, true);
  await put("10.3.99.0-24");
  await events.until("a live change", isPut("10.3.99.0-24"));
  await Deno.remove(backup.replace(/\/backup$/, ""), { recursive: true });
});

test("etcd comes later than we do: configuration and lease are waited for", async ({ gate, store, etcd, log }) => {
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  gate.shut();
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const acquired = store.acquire(claim(A), soon());
  const problem = await readings.until("the problem", () => true);
  assert(problem.type === "problem" && !problem.refused);
  assertMatch(problem.error, /connection refused/);
  await using events = watch(store);
  await events.until("the outage", isOutage);
  gate.open();
  await readings.until("the configuration", ({ type }) => type === "config");
  const lease = await acquired;
  await events.until("our lease", (event) => isSnapshot(event) || isPut(keyOf(lease))(event));
  assertEquals(readings.seen.map(({ type }) => type), ["problem", "config"]);
  assertEquals(log.filter((line) => line.includes("does not answer")).length, 1, log.join("\n"));
});

test("a configuration changed during an outage is told after it; an unchanged one again", async (all) => {
  const { gate, store, etcd } = all;
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await readings.until("the configuration", ({ type }) => type === "config");
  gate.shut();
  await readings.until("the problem", ({ type }) => type === "problem");
  await etcd.ctl("put", `${PREFIX}/config`, '{"Network": "10.4.0.0/16"}');
  gate.open();
  await readings.until("the new one", (r) => r.type === "config" && r.text.includes("10.4"));
});

test("disposing during an outage is quick", async ({ gate, store }) => {
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  gate.shut();
  await events.until("the outage", isOutage);
  const renewing = store.list().catch((error: unknown) => error);
  const start = performance.now();
  await store[Symbol.asyncDispose]();
  assert(await renewing instanceof StoreUnavailable);
  // A call that nobody ends takes longer; a loaded machine does not.
  assert(performance.now() - start < 3_000);
});
