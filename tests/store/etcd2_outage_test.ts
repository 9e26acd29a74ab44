/** What happens to the store on etcd's v2 API when etcd, or the way to it, fails: nothing is lost, nothing is told twice. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { openV2Store, type V2Store } from "../../src/store/etcd/v2/v2_store.ts";
import { isLost, type StoreEvent, StoreUnavailable } from "../../src/store/store.ts";
import type { EtcdCluster, EtcdMember } from "../support/etcd.ts";
import { Gate } from "../support/gate.ts";
import { poll, run, say } from "../support/process.ts";
import { raw2, startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import {
  claim,
  isDelete,
  isPut,
  keyOf,
  type RawAccess,
  Reader,
  record,
  soon,
  value,
  watch,
} from "./harness.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network": "10.3.0.0/16"}';
const A = "192.168.0.1";
const B = "192.168.0.2";

/** An etcd, the way to it, and one host's store at the end of it. */
interface Setup extends AsyncDisposable {
  readonly etcd: EtcdCluster;
  readonly gate: Gate;
  readonly store: V2Store;
  readonly log: string[];
  readonly raw: RawAccess;
  readonly put: (key: string, mac?: string) => Promise<void>;
}

async function setup(): Promise<Setup> {
  const etcd = await startEtcd2();
  const gate = new Gate(etcd.endpoints);
  const log: string[] = [];
  const store = openV2Store(flags(`http://127.0.0.1:${gate.port}`, { log: recordingLog(log) }));
  const raw = raw2(etcd, PREFIX);
  return {
    etcd,
    gate,
    store,
    log,
    raw,
    put: (key, mac) => raw.put(key, value(B, mac), 600_000),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await gate[Symbol.asyncDispose]();
      await etcd[Symbol.asyncDispose]();
    },
  };
}

function test(name: string, body: (setup: Setup) => Promise<void>): void {
  etcdTest(`etcd2 outage: ${name}`, async () => {
    await using all = await setup();
    await body(all);
  });
}

const isSnapshot = (event: StoreEvent) => event.type === "snapshot";
const isOutage = (event: StoreEvent) => event.type === "outage";
const isRecovered = (event: StoreEvent) => event.type === "recovered";
const types = (events: readonly StoreEvent[]) => events.map(({ type }) => type);

/** Writes `count` keys that are none of ours: so much of etcd's history is gone. */
async function forget({ endpoints }: EtcdCluster, count: number): Promise<void> {
  for (let i = 0; i < count; i += 50) {
    const puts = Array.from({ length: 50 }, async (_, j) => {
      const body = new URLSearchParams({ value: `${i + j}` });
      const answer = await fetch(`${endpoints}/v2/keys/elsewhere/${j}`, { method: "PUT", body });
      await answer.body?.cancel();
      assert(answer.ok);
    });
    await Promise.all(puts);
  }
}

test("changes during an outage come after it, once and in order", async ({ gate, store, put, raw }) => {
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
  for (const i of [1, 2, 3]) {
    gate.cut();
    await put(`10.3.${i}.0-24`);
    await events.until("the change", isPut(`10.3.${i}.0-24`));
  }
  // A poll that had its answer already is not cut.
  const told = types(events.seen).filter((type) => type !== "resumed");
  assertEquals(told, ["snapshot", "put", "put", "put"]);
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
  assertEquals(types(events.seen).slice(0, 4), ["snapshot", "put", "outage", "recovered"]);
});

/** How many watches etcd has. */
async function watchers({ endpoints }: EtcdCluster): Promise<number> {
  const metrics = await (await fetch(`${endpoints}/metrics`)).text();
  return Number(/^etcd_debugging_store_watchers (\d+)$/m.exec(metrics)![1]);
}

test("a way that swallows everything is noticed, and what was lost comes after", async (all) => {
  const { etcd, gate, store, put } = all;
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await put("10.3.1.0-24");
  await events.until("a change", isPut("10.3.1.0-24"));
  await poll("the next watch to stand", 10_000, async () => await watchers(etcd) === 1);
  gate.hang();
  await events.until("the outage", isOutage);
  await put("10.3.2.0-24");
  gate.unhang();
  await events.until("the change", isPut("10.3.2.0-24"));
  assertEquals(types(events.seen), ["snapshot", "put", "outage", "recovered", "put"]);
});

test("more than 1,000 events missed: everything is read again", async ({ etcd, gate, store, put, raw, log }) => {
  await put("10.3.1.0-24");
  await put("10.3.2.0-24");
  await using events = watch(store);
  const first = await events.until("a snapshot", isSnapshot);
  gate.shut();
  await events.until("the outage", isOutage);
  await raw.delete("10.3.1.0-24");
  await put("10.3.2.0-24", "02:00:00:00:00:99");
  await put("10.3.3.0-24");
  await forget(etcd, 1100);
  gate.open();
  const snapshot = await events.until("another", (event) => isSnapshot(event) && event !== first);
  assert(snapshot.type === "snapshot");
  assertEquals(snapshot.leases.map(keyOf).sort(), ["10.3.2.0-24", "10.3.3.0-24"]);
  const changed = snapshot.leases.find((lease) => keyOf(lease) === "10.3.2.0-24")!;
  assertMatch(JSON.stringify(changed.record.backendData), /:99/);
  await put("10.3.4.0-24");
  await events.until("a live change", isPut("10.3.4.0-24"));
  assertEquals(types(events.seen), ["snapshot", "outage", "recovered", "snapshot", "put"]);
  assertEquals(log.filter((line) => line.includes("cleared its history")).length, 1, log.join("\n"));
});

test("1,100 events elsewhere are nothing to a watch that stands", async ({ etcd, store, put }) => {
  await using events = watch(store);
  await events.until("a snapshot", isSnapshot);
  await forget(etcd, 1100);
  await put("10.3.4.0-24");
  await events.until("the change", isPut("10.3.4.0-24"));
  assertEquals(types(events.seen), ["snapshot", "put"]);
});

test("etcd comes later than we do: configuration and lease are waited for", async ({ gate, store, etcd, log }) => {
  gate.shut();
  await etcd.ctl2("set", `${PREFIX}/config`, CONFIG);
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const acquired = store.acquire(claim(A), soon());
  const problem = await readings.until("the problem", () => true);
  assert(problem.type === "problem" && !problem.refused);
  assertMatch(problem.error, /connection refused/);
  await poll("acquiring to be told", 10_000, () => log.some((line) => line.includes("does not answer")));
  gate.open();
  await readings.until("the configuration", ({ type }) => type === "config");
  await acquired;
  assertEquals(readings.seen.map(({ type }) => type), ["problem", "config"]);
  assertEquals(log.filter((line) => line.includes("does not answer")).length, 1, log.join("\n"));
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
  assert(performance.now() - start < 1_000);
});

/** The member that our process has connections to. */
async function inUse(etcd: EtcdCluster): Promise<EtcdMember> {
  const table = await run(["ss", "-Htnp", "state", "established"]);
  const ours = table.split("\n").filter((line) => line.includes(`pid=${Deno.pid},`));
  const found = etcd.members.find(({ url }) => ours.some((line) => line.includes(`:${new URL(url).port} `)));
  assert(found !== undefined, table);
  return found;
}

function mac(n: number): string {
  return `02:00:00:00:00:${n.toString(16).padStart(2, "0")}`;
}

etcdTest(
  "etcd2 cluster: the member in use is killed; the watch loses nothing, and one that freezes is left",
  async () => {
    await using etcd = await startEtcd2({ members: [{}, {}, {}] });
    await using store = openV2Store(flags(etcd.endpoints));
    await using events = watch(store);
    let lease = await store.acquire(claim(A), soon());
    let written = 0;
    const write = async () => {
      const result = await store.publish(lease, record(A, mac(written + 1)));
      assert(!isLost(result), Deno.inspect(result));
      lease = result;
      written++;
    };
    for (let i = 0; i < 10; i++) await write();
    const killed = await inUse(etcd);
    await killed.kill();
    for (let i = 0; i < 10; i++) await write();
    killed.launch();
    await etcd.ready();
    await events.until("the last change", isPut(keyOf(lease), mac(written)));
    const seen = events.seen.flatMap((event) =>
      event.type === "put" ? [(event.lease.record.backendData as { VtepMAC: string }).VtepMAC] : []
    );
    // The first record has the MAC of the first write.
    assertEquals(seen.slice(1), Array.from({ length: written }, (_, i) => mac(i + 1)));
    say(`one kill: ${written} of ${seen.length - 1} changes in order`);
    const frozen = await inUse(etcd);
    frozen.freeze();
    const start = performance.now();
    await write();
    say(`a frozen member: written after ${(performance.now() - start).toFixed(0)} ms`);
    const told = (event: StoreEvent) =>
      isPut(keyOf(lease), mac(written))(event) ||
      // A look whether the watch tells everything may have met the change first.
      event.type === "snapshot" && Deno.inspect(event, { depth: 9 }).includes(mac(written));
    await events.until("the change", told);
    frozen.thaw();
  },
);

etcdTest(
  "etcd2 cluster: a member that loses its cluster is an outage, also to one who only watches",
  async () => {
    await using etcd = await startEtcd2({ members: [{}, {}, {}] });
    await using store = openV2Store(flags(etcd.endpoints));
    await using events = watch(store);
    const lease = await store.acquire(claim(A), soon());
    await events.until("our lease", isPut(keyOf(lease)));
    const survivor = await inUse(etcd);
    const others = etcd.members.filter((member) => member !== survivor);
    for (const member of others) await member.kill();
    await events.until("the outage", isOutage);
    const failure = await store.renew(lease).catch((error: unknown) => error);
    assert(failure instanceof StoreUnavailable, String(failure));
    for (const member of others) member.launch();
    await etcd.ready();
    await events.until("the end of the outage", isRecovered);
    assert(!isLost(await store.renew(lease)));
  },
);
