/**
 * The SQLite store: the conformance suite on real files, several processes at once, and what can be wrong with a file.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../../src/model/errors.ts";
import { fileConfigSource, literalConfigSource } from "../../src/store/config_source.ts";
import { openSqliteStore, type SqliteStoreOptions } from "../../src/store/rows/sqlite.ts";
import { isLost, type Store, StoreUnavailable } from "../../src/store/store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { run } from "../support/process.ts";
import { storeConformance } from "./conformance.ts";
import {
  claim,
  type Harness,
  isDelete,
  isPut,
  keyOf,
  ownValue,
  type RawAccess,
  Reader,
  soon,
  value,
  watch,
} from "./harness.ts";

const clock = systemClock();
const config = literalConfigSource('{"Network": "10.3.0.0/16"}');

function open(path: string, options: Partial<SqliteStoreOptions> = {}): Promise<Store> {
  return openSqliteStore({ path, config, clock, random: systemRandom, ...options });
}

/** Another program that knows the tables. */
function rawAccess(path: string): RawAccess & Disposable {
  const db = new DatabaseSync(path);
  const row = (key: string) => db.prepare("SELECT * FROM leases WHERE key = ?").get(key);
  const change = (key: string) =>
    Number(db.prepare("INSERT INTO changes (key) VALUES (?)").run(key).lastInsertRowid);
  return {
    get: (key) => Promise.resolve(row(key)?.value as string ?? null),
    put(key, value, ttlMs) {
      const revision = change(key);
      db.prepare("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)").run(
        key,
        value,
        Number(row(key)?.created ?? revision),
        revision,
        ttlMs === undefined ? null : clock.wall() + ttlMs,
      );
      return Promise.resolve();
    },
    delete(key) {
      db.prepare("DELETE FROM leases WHERE key = ?").run(key);
      change(key);
      return Promise.resolve();
    },
    ttl(key) {
      const expires = row(key)?.expires;
      return Promise.resolve(typeof expires === "number" ? expires - clock.wall() : null);
    },
    [Symbol.dispose]: () => db.close(),
  };
}

async function openHarness(): Promise<Harness> {
  const directory = await Deno.makeTempDir({ prefix: "sqlite_store_" });
  try {
    return await harnessIn(directory);
  } catch (error) {
    await Deno.remove(directory, { recursive: true });
    throw error;
  }
}

async function harnessIn(directory: string): Promise<Harness> {
  const path = `${directory}/leases.db`;
  const configPath = `${directory}/net-conf.json`;
  const stores: Store[] = [await open(path)];
  const raw = rawAccess(path);
  return {
    clock,
    async store(_hostIp, options) {
      const store = await open(path, { config: fileConfigSource(configPath, clock), ...options });
      stores.push(store);
      return store;
    },
    value: ownValue,
    async setConfig(text) {
      await Deno.writeTextFile(`${configPath}.new`, text);
      await Deno.rename(`${configPath}.new`, configPath);
    },
    raw,
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
      raw[Symbol.dispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

storeConformance("sqlite", openHarness, { shortTtlMs: 400 });

async function directory(body: (path: string, directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "sqlite_store_" });
  try {
    await body(`${directory}/leases.db`, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function test(title: string, body: (path: string, directory: string) => Promise<void>): void {
  Deno.test({
    name: `sqlite: ${title}`,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: () => directory(body),
  });
}

/** A process of its own takes subnets for hosts 192.168.<process>.1 and on; their keys. */
async function takeElsewhere(path: string, process: number, count: number): Promise<string[]> {
  const hosts = Array.from({ length: count }, (_, i) => `192.168.${process}.${i + 1}`);
  const script = import.meta.resolve("./sqlite_process.ts");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, path, ...hosts],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

test("four processes that take ten subnets each never take one twice", async (path) => {
  const keys = (await Promise.all([1, 2, 3, 4].map((process) => takeElsewhere(path, process, 10)))).flat();
  assertEquals(new Set(keys).size, 40);
  await using store = await open(path);
  assertEquals((await store.list()).leases.map(keyOf).sort(), keys.sort());
});

test("the files are for their owner only", async (path) => {
  await using store = await open(path);
  await store.acquire(claim("192.168.0.1"), soon());
  for (const suffix of ["", "-wal", "-shm"]) {
    const { mode } = await Deno.stat(`${path}${suffix}`);
    assertEquals(mode! & 0o777, 0o600, suffix);
  }
});

test(
  "a directory that is missing is named and not made: it may not be mounted yet",
  async (_path, directory) => {
    for (const name of ["nope/x.db", "no/such/place/x.db"]) {
      const path = `${directory}/${name}`;
      const error = await assertRejects(() => open(path), Failure);
      assertStringIncludes(error.message, `open the lease store "${path}": there is no directory "`);
      assertStringIncludes(error.message, "make it, or give another file");
    }
    assertEquals(Array.from(Deno.readDirSync(directory)), []);
    const [path, other] = [`${directory}/later/x.db`, `${directory}/later`];
    await Deno.mkdir(other);
    await (await open(path))[Symbol.asyncDispose]();
  },
);

test(
  "a directory in the file's place is named, with a file in it to give instead",
  async (_path, directory) => {
    for (const path of [directory, `${directory}/`]) {
      const says =
        `open the lease store "${path}": it is a directory; give a file in it, as in -store=sqlite:${directory}/`;
      await assertRejects(() => open(path), Failure, says);
      await assertRejects(() => open(path, { readOnly: true }), Failure, says);
    }
  },
);

test(
  "a directory that goes while a daemon runs is said, and nothing is lost when it is back",
  async (_path, directory) => {
    const [inside, aside] = [`${directory}/a`, `${directory}/b`];
    await Deno.mkdir(inside);
    await using store = await open(`${inside}/x.db`);
    await using events = watch(store);
    const lease = await store.acquire(claim("192.168.0.1"), soon());
    await events.until("our lease", isPut(keyOf(lease)));
    await Deno.rename(inside, aside);
    await assertRejects(() => store.renew(lease), Failure, "there is no directory");
    await events.until("the outage", ({ type }) => type === "outage");
    await Deno.rename(aside, inside);
    await events.until("its end", ({ type }) => type === "recovered");
    assert(!isLost(await store.renew(lease)));
  },
);

Deno.test({
  name: "sqlite: a full file system is told with what to do, and is no reason to end",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    // A file system of its own, which no other process sees.
    const fill = "mount -t tmpfs -o size=256k tmpfs /mnt && mkdir /mnt/a && exec";
    const script = new URL("./sqlite_full_process.ts", import.meta.url).pathname;
    const command = `${fill} "${Deno.execPath()}" run -A ${script} /mnt/a/leases.db`;
    const said = await run(["unshare", "--mount", "sh", "-ec", command]);
    assertEquals(
      said,
      'StoreUnavailable: use the lease store "/mnt/a/leases.db": database or disk is full; make room on its file system\n',
    );
  },
});

test("a file that is no database is refused and left as it is", async (path) => {
  await Deno.writeTextFile(path, "keep me".repeat(1000));
  await assertRejects(() => open(path), Failure, "it is not a SQLite database");
  assertEquals(await Deno.readTextFile(path), "keep me".repeat(1000));
});

test("another program's database is refused", async (path) => {
  using db = new DatabaseSync(path);
  db.exec("CREATE TABLE birds (name)");
  await assertRejects(() => open(path), Failure, "another program's database");
});

test("a newer schema is refused by its number", async (path) => {
  await (await open(path))[Symbol.asyncDispose]();
  using db = new DatabaseSync(path);
  db.exec("PRAGMA user_version = 7");
  await assertRejects(() => open(path), Failure, "its schema has version 7, this program knows up to 1");
});

test("a place that can't be written to is refused", async () => {
  await assertRejects(() => open("/proc/leases.db"), Failure, 'open the lease store "/proc/leases.db"');
  await assertRejects(
    () => open("/dev/null/leases.db"),
    Failure,
    "in a directory that this user can write to",
  );
});

test("a lock held for a short while is waited for, and the event loop runs on", async (path) => {
  await using store = await open(path);
  using other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  let turns = 0;
  const ticking = setInterval(() => turns++, 10);
  const acquired = store.acquire(claim("192.168.0.1"), soon());
  await clock.sleep(300);
  other.exec("ROLLBACK");
  await acquired;
  clearInterval(ticking);
  assert(turns >= 5, `${turns} turns of the event loop`);
});

test("a lock held for long counts as out of reach", async (path) => {
  await using store = await open(path);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  using other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  await assertRejects(
    () => store.renew(lease),
    StoreUnavailable,
    "another process has held its lock for 5 s",
  );
  other.exec("ROLLBACK");
  assert(!isLost(await store.renew(lease)));
});

test("a file that was removed is made anew, and watches list again", async (path) => {
  await using store = await open(path);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await using events = watch(store);
  await events.until("the lease", (event) => event.type === "snapshot" && event.leases.length === 1);
  for (const suffix of ["", "-wal", "-shm"]) await Deno.remove(path + suffix);
  await events.until("nothing left", (event) => event.type === "snapshot" && event.leases.length === 0);
  const renewed = await store.renew(lease);
  assert(isLost(renewed) && renewed.lost === "absent");
  const again = await store.acquire({ ...claim("192.168.0.1"), previous: lease.subnets }, soon());
  assertEquals(keyOf(again), keyOf(lease));
  await events.until("the lease again", isPut(keyOf(lease)));
});

test(
  "changes behind a symbolic link, of which nothing tells, are found by looking",
  async (path, directory) => {
    await Deno.mkdir(`${directory}/elsewhere`);
    await Deno.symlink("elsewhere/real.db", path);
    await using store = await open(path);
    using raw = rawAccess(`${directory}/elsewhere/real.db`);
    await using events = watch(store);
    await events.until("a snapshot", (event) => event.type === "snapshot");
    await raw.put("10.3.7.0-24", value("192.168.0.7"));
    await events.until("the put", isPut("10.3.7.0-24"));
  },
);

test("a watch that fell behind the change log gets a snapshot", async (path) => {
  await using store = await open(path);
  using raw = rawAccess(path);
  await raw.put("10.3.7.0-24", value("192.168.0.7"));
  const abort = new AbortController();
  const events = store.watch(abort.signal)[Symbol.asyncIterator]();
  assertEquals((await events.next()).value?.type, "snapshot");
  await raw.put("10.3.8.0-24", value("192.168.0.8"));
  using db = new DatabaseSync(path);
  db.exec("DELETE FROM changes WHERE revision <= 2; INSERT INTO changes (key) VALUES ('10.3.8.0-24')");
  const next = (await events.next()).value;
  assert(next?.type === "snapshot");
  assertEquals(next.leases.map(keyOf), ["10.3.7.0-24", "10.3.8.0-24"]);
  abort.abort();
  assertEquals((await events.next()).done, true);
});

test("the change log is trimmed", async (path) => {
  await using store = await open(path, { ttlMs: 60_000 });
  using db = new DatabaseSync(path);
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO changes (key) SELECT 'zzz' FROM n`);
  for (let i = 0; i < 160; i++) {
    const lease = await store.acquire(claim("192.168.0.1"), soon());
    await store.release(lease);
  }
  const { n } = db.prepare("SELECT count(*) AS n FROM changes").get() as { n: number };
  assert(n > 9_000 && n < 10_400, `${n}`);
});

test("a store opened to be read only lists, watches and writes nothing", async (path) => {
  await assertRejects(() => open(path, { readOnly: true }), Failure);
  await using store = await open(path);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await using reader = await open(path, { readOnly: true });
  assertEquals((await reader.list()).leases.map(keyOf), [keyOf(lease)]);
  await using events = watch(reader);
  await events.until("a snapshot", (event) => event.type === "snapshot");
  await store.release(lease);
  await events.until("the release", isDelete(keyOf(lease)));
  await assertRejects(() => reader.acquire(claim("192.168.0.2"), soon()), Failure, "opened to be read only");
});

test("what has run out while nobody looked is gone at the next look", async (path) => {
  await (await open(path))[Symbol.asyncDispose]();
  using raw = rawAccess(path);
  await raw.put("10.3.7.0-24", value("192.168.0.7"), -1000);
  await using reader = await open(path, { readOnly: true });
  assertEquals((await reader.list()).leases, []);
  assert(await raw.get("10.3.7.0-24") !== null);
  await using store = await open(path);
  assertEquals((await store.list()).leases, []);
  assertEquals(await raw.get("10.3.7.0-24"), null);
});

/** Byte 128 of the -shm file: held by whoever has the database open, so that nobody takes it for abandoned (SQLite's os_unix.c). */
const DEAD_MAN_SWITCH = 128;

function holdsLock(path: string): boolean {
  const { dev, ino } = Deno.statSync(path);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const file = `${hex(major)}:${hex(minor)}:${ino}`;
  const lock = `POSIX +ADVISORY +READ +${Deno.pid} ${file} ${DEAD_MAN_SWITCH} ${DEAD_MAN_SWITCH}$`;
  return new RegExp(lock, "m").test(Deno.readTextFileSync("/proc/locks"));
}

function hex(number: number): string {
  return number.toString(16).padStart(2, "0");
}

test(
  "a store that is watched, its configuration beside it, keeps its locks whatever others write",
  async (path, directory) => {
    const configPath = `${directory}/net-conf.json`;
    await Deno.writeTextFile(configPath, '{"Network": "10.3.0.0/16"}');
    await using store = await open(path, { config: fileConfigSource(configPath, clock) });
    await using events = watch(store);
    await using readings = new Reader((signal) => store.watchConfig(signal));
    await readings.until("the configuration", ({ type }) => type === "config");
    const [key] = await takeElsewhere(path, 1, 1);
    await events.until("the other process's lease", isPut(key!));
    await Deno.writeTextFile(configPath, '{"Network": "10.4.0.0/16"}');
    await readings.until("the new configuration", () => readings.seen.length === 2);
    assert(holdsLock(`${path}-shm`), "the lock on the shared memory was dropped");
  },
);
