/**
 * Whoever is asked to stop stops: every call of every store ends at once when its signal is aborted, and so does closing the
 * store, while etcd stands still (all connections open, no answer) or another process holds SQLite's lock.
 */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { literalConfigSource } from "../../src/store/config_source.ts";
import { type EtcdApi, openEtcd } from "../../src/store/etcd/open.ts";
import { openSqliteStore } from "../../src/store/rows/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { pause } from "../support/process.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags } from "./etcd3_harness.ts";
import { claim, Reader, record, soon, watch } from "./harness.ts";

const CONFIG = '{"Network": "10.3.0.0/16"}';
/** Milliseconds for a call to end once it is aborted, and for everything together. */
const CALL_MS = 300;
const ALL_MS = 1_000;
/** Milliseconds after which a call is surely waiting for an answer. */
const UNDER_WAY_MS = 150;

interface Frozen {
  open(): Promise<Store>;
  freeze(): void;
  thaw(): void;
}

/** Aborts all calls of a store that waits in vain, then closes it. */
async function stopAll(store: Store, { freeze, thaw }: Frozen): Promise<void> {
  await using events = watch(store);
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await readings.until("the configuration", ({ type }) => type === "config");
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  freeze();
  try {
    const stop = new AbortController();
    const calls: Record<string, Promise<unknown>> = {
      acquire: store.acquire(claim("192.168.0.2"), stop.signal),
      publish: store.publish(lease, record("192.168.0.1", "02:00:00:00:00:99"), stop.signal),
      renew: store.renew(lease, stop.signal),
      release: store.release(lease, stop.signal),
      list: store.list(stop.signal),
    };
    const ends = Object.entries(calls).map(async ([name, call]) => {
      const reason = await call.then(() => "an answer", (error) => error);
      return { name, reason, at: performance.now() };
    });
    await pause(UNDER_WAY_MS);
    const start = performance.now();
    stop.abort("asked to stop");
    for (const { name, reason, at } of await Promise.all(ends)) {
      assertEquals(reason, "asked to stop", name);
      assert(at - start < CALL_MS, `${name}: ${at - start} ms`);
    }
    await events[Symbol.asyncDispose]();
    await readings[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    const ms = performance.now() - start;
    assert(ms < ALL_MS, `all together: ${ms} ms`);
  } finally {
    thaw();
  }
}

async function withEtcd(body: (etcd: EtcdCluster, frozen: (api: EtcdApi) => Frozen) => Promise<void>) {
  await using etcd = await startEtcd2();
  await etcd.ctl("put", "/coreos.com/network/config", CONFIG);
  await etcd.ctl2("set", "/coreos.com/network/config", CONFIG);
  await body(etcd, (api) => ({
    open: () => openEtcd(api, flags(etcd.endpoints), soon()),
    freeze: () => etcd.members[0]!.freeze(),
    thaw: () => etcd.members[0]!.thaw(),
  }));
}

for (const api of ["v3", "v2", "both"] as const) {
  etcdTest(
    `abort: ${api}: every call and the end of a store, while etcd stands still`,
    () =>
      withEtcd(async (_etcd, frozen) => {
        await using store = await frozen(api).open();
        await stopAll(store, frozen(api));
      }),
  );
}

for (const api of ["auto", "v3", "v2", "both"] as const) {
  etcdTest(
    `abort: ${api}: a store that is opened while etcd stands still`,
    () =>
      withEtcd(async (etcd, frozen) => {
        frozen(api).freeze();
        const stop = new AbortController();
        const reading = (async () => {
          await using store = await openEtcd(api, flags(etcd.endpoints), stop.signal);
          for await (const _ of store.watchConfig(stop.signal));
        })().catch(() => {});
        await pause(UNDER_WAY_MS);
        const start = performance.now();
        stop.abort();
        await reading;
        const ms = performance.now() - start;
        assert(ms < ALL_MS, `${ms} ms`);
        frozen(api).thaw();
      }),
  );
}

/** A lease file whose lock another connection can hold. */
async function withFile(
  body: (options: Parameters<typeof openSqliteStore>[0], frozen: Frozen) => Promise<void>,
) {
  const directory = await Deno.makeTempDir();
  const config = literalConfigSource(CONFIG);
  const options = { path: `${directory}/leases.db`, config, clock: systemClock(), random: systemRandom };
  await (await openSqliteStore(options))[Symbol.asyncDispose]();
  const other = new DatabaseSync(options.path);
  try {
    await body(options, {
      open: () => openSqliteStore(options),
      freeze: () => other.exec("BEGIN EXCLUSIVE"),
      thaw: () => other.exec("ROLLBACK"),
    });
  } finally {
    other.close();
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("abort: sqlite: every call and the end of a store, while another has the lock", () =>
  withFile(async (_options, frozen) => {
    await using store = await frozen.open();
    await stopAll(store, frozen);
  }));

Deno.test("abort: sqlite: a store that is opened while another has the lock for itself", () =>
  withFile(async (options) => {
    const file = new DatabaseSync(options.path);
    file.exec("PRAGMA locking_mode = EXCLUSIVE");
    file.exec("BEGIN EXCLUSIVE");
    const stop = new AbortController();
    const opening = openSqliteStore({ ...options, stop: stop.signal }).catch((error) => error);
    await pause(UNDER_WAY_MS);
    const start = performance.now();
    stop.abort("asked to stop");
    assertEquals(await opening, "asked to stop");
    const ms = performance.now() - start;
    file.close();
    assert(ms < CALL_MS, `${ms} ms`);
  }));
