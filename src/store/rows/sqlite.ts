/**
 * The SQLite store: one file on a local disk, shared by all daemons of a machine (one for each network namespace).
 *
 * - Each operation is one transaction. Where another process has the lock it is tried again after a few random milliseconds,
 *   up to 5 seconds, and the event loop runs on meanwhile.
 * - Whoever looks removes what has run out, in the same transaction as the look.
 * - A watch reads the change log. It is woken by writes of its own process and by the next expiry, and looks every 50 ms
 *   whether another process has written, at a cost of some microseconds. Being told by the kernel is out of the question: see
 *   `sqlite_file.ts` on what else may touch the files.
 * - Expiry is wall time in the file and the boot clock's outside: a step of the wall clock moves the end of all leases alike.
 * - Opened read-only it lists and watches, and removes nothing: what has run out is left out.
 */
import type { Clock, Instant, Random } from "../../model/clock.ts";
import { Failure } from "../../model/errors.ts";
import { abortable } from "../../async/abortable.ts";
import type { Log } from "../../observe/log.ts";
import type { ChangeFeed, Cursor } from "./change_feed.ts";
import type { ConfigSource } from "../config_source.ts";
import { LEASE_TTL_MS } from "../lease_table.ts";
import { rowStoreParts } from "./row_store.ts";
import { changeOf, type Row, type Rows, RowTable, snapshotOf, type Transact } from "./row_table.ts";
import { Busy, SqliteFile } from "./sqlite_file.ts";
import { type Store, type StoreEvent, StoreUnavailable } from "../store.ts";
import { TableStore } from "../table_store.ts";
import { Trigger } from "../../async/trigger.ts";

export interface SqliteStoreOptions {
  readonly path: string;
  /** Where the network configuration stands. */
  readonly config: ConfigSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
  readonly ttlMs?: number;
  readonly readOnly?: boolean;
  /** Ends waiting for a lock while the file is opened. */
  readonly stop?: AbortSignal;
}

/** How long a lock is waited for, in milliseconds, and the longest pause between two tries. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 25;
/** How often a watch looks for writes of other processes. */
const POLL_MS = 200;
/** How many revisions the change log keeps; a watch that is further behind gets a snapshot. */
const LOG_LENGTH = 10_000;
const TRIM_EVERY = 256;

/**
 * Opens the file, makes it where there is none.
 *
 * @throws Failure where the file is not ours, too new, or not accessible; StoreUnavailable where another process does not give
 * up its lock; the reason of `stop`
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { clock, random, log, ttlMs = LEASE_TTL_MS } = options;
  const database = new Database(options);
  try {
    await abortable(database.read(() => {}), options.stop);
  } catch (error) {
    database.close();
    throw error;
  }
  return new TableStore(rowStoreParts({
    name: `SQLite Local Manager on ${options.path}`,
    table: new RowTable(database.transact, clock, ttlMs),
    feed: (signal) => database.feed(signal),
    config: options.config,
    deps: { clock, random, ...(log === undefined ? {} : { log }) },
    close: () => database.close(),
  }));
}

class Database {
  readonly #file: SqliteFile;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #triggers = new Set<Trigger>();
  readonly #closed = new AbortController();

  constructor({ path, readOnly = false, clock, random }: SqliteStoreOptions) {
    this.#file = new SqliteFile(path, readOnly);
    this.#clock = clock;
    this.#random = random;
  }

  /** For the lease table: write where we can. */
  readonly transact: Transact = (body) => this.#file.readOnly ? this.read(body) : this.#write(body);

  read<T>(body: (rows: Rows) => T): Promise<T> {
    return this.#patiently(() => this.#file.transaction("read", () => body(this.#rows())));
  }

  async #write<T>(body: (rows: Rows) => T): Promise<T> {
    const result = await this.#patiently(() =>
      this.#file.transaction("write", () => {
        this.#removeExpired();
        return body(this.#rows());
      })
    );
    for (const trigger of this.#triggers) trigger.ring();
    return result;
  }

  feed(signal: AbortSignal): ChangeFeed {
    const trigger = new Trigger();
    this.#subscribe(trigger, signal);
    let seen = "";
    let nextExpiry: Instant = Infinity;
    return {
      read: async (cursor) => {
        if (this.#clock.boot() >= nextExpiry && !this.#file.readOnly) await this.#write(() => {});
        return await this.#patiently(() => {
          seen = this.#file.fingerprint();
          return this.#file.transaction("read", () => {
            nextExpiry = this.#nextExpiry();
            return this.#changesSince(cursor);
          });
        });
      },
      wait: async (signal, atMost = Infinity) => {
        const end = Math.min(nextExpiry, this.#clock.boot() + atMost);
        const changed = () => this.#clock.boot() >= end || this.#differs(seen);
        const pause = () => Math.max(1, Math.min(POLL_MS, end - this.#clock.boot()));
        while (!await trigger.waitFor(pause(), this.#clock, signal) && !signal.aborted && !changed());
      },
    };
  }

  close(): void {
    this.#closed.abort(new StoreUnavailable(`the lease store "${this.#file.path}" is closed`));
    this.#file.close();
  }

  #subscribe(trigger: Trigger, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#triggers.add(trigger);
    signal.addEventListener("abort", () => this.#triggers.delete(trigger), { once: true });
  }

  /** True where another process has written since, or it can't be told. */
  #differs(seen: string): boolean {
    try {
      return this.#closed.signal.aborted || this.#file.fingerprint() !== seen;
    } catch {
      return true;
    }
  }

  async #patiently<T>(step: () => T): Promise<T> {
    const deadline = this.#clock.boot() + PATIENCE_MS;
    for (;;) {
      this.#closed.signal.throwIfAborted();
      try {
        return step();
      } catch (error) {
        if (!(error instanceof Busy)) throw error;
        if (this.#clock.boot() >= deadline) {
          throw new StoreUnavailable(
            `use the lease store "${this.#file.path}": another process has held its lock for ${
              PATIENCE_MS / 1000
            } s`,
          );
        }
      }
      await this.#clock.sleep(1 + this.#random.int(PAUSE_MS), this.#closed.signal);
    }
  }

  #rows(): Rows {
    return {
      all: () =>
        this.#sql("SELECT * FROM leases WHERE expires IS NULL OR expires > ?").all(this.#clock.wall()).map(
          this.#row,
        ),
      get: (key) => this.#get(key),
      put: (key, value, expires) => this.#put(key, value, expires),
      extend: (key, expires) => {
        this.#writable();
        this.#sql("UPDATE leases SET expires = ? WHERE key = ?").run(this.#toWall(expires), key);
      },
      delete: (key) => this.#delete(key),
    };
  }

  #get(key: string): Row | undefined {
    const found = this.#sql("SELECT * FROM leases WHERE key = ? AND (expires IS NULL OR expires > ?)")
      .get(key, this.#clock.wall());
    return found === undefined ? undefined : this.#row(found);
  }

  #put(key: string, value: string, expires: Instant | null): Row {
    const revision = this.#record(key);
    const created = this.#get(key)?.created ?? revision;
    this.#sql("INSERT OR REPLACE INTO leases (key, value, created, modified, expires) VALUES (?, ?, ?, ?, ?)")
      .run(key, value, created, revision, expires === null ? null : this.#toWall(expires));
    return { key, value, created, modified: revision, expires };
  }

  #delete(key: string): void {
    this.#record(key);
    this.#sql("DELETE FROM leases WHERE key = ?").run(key);
  }

  /** Counts a revision that concerns `key`. */
  #record(key: string): number {
    this.#writable();
    const revision = Number(this.#sql("INSERT INTO changes (key) VALUES (?)").run(key).lastInsertRowid);
    if (revision % TRIM_EVERY === 0) {
      this.#sql("DELETE FROM changes WHERE revision <= ?").run(revision - LOG_LENGTH);
    }
    return revision;
  }

  #removeExpired(): void {
    const expired = this.#sql("SELECT key FROM leases WHERE expires <= ?").all(this.#clock.wall());
    for (const { key } of expired) this.#delete(String(key));
  }

  #nextExpiry(): Instant {
    const next = this.#sql("SELECT min(expires) AS next FROM leases WHERE expires IS NOT NULL").get()?.next;
    return typeof next === "number" && !this.#file.readOnly ? this.#toBoot(next) : Infinity;
  }

  #changesSince(cursor: Cursor | null): { events: readonly StoreEvent[]; cursor: Cursor } {
    const log = this.#sql("SELECT min(revision) AS first, max(revision) AS last FROM changes").get();
    const [first, last] = [Number(log?.first ?? 1), Number(log?.last ?? 0)];
    const next = `${this.#file.epoch}:${last}`;
    const [epoch, seen] = (cursor ?? "").split(":").map(Number);
    if (epoch !== this.#file.epoch || seen === undefined || seen < first - 1 || seen > last) {
      return { events: [snapshotOf(this.#rows().all())], cursor: next };
    }
    const keys = this.#sql("SELECT key FROM changes WHERE revision > ? GROUP BY key ORDER BY max(revision)")
      .all(
        seen,
      );
    const events = keys.flatMap(({ key }) => changeOf(String(key), this.#get(String(key))));
    return { events, cursor: next };
  }

  #sql(text: string): ReturnType<SqliteFile["statement"]> {
    return this.#file.statement(text);
  }

  #writable(): void {
    if (this.#file.readOnly) {
      throw new Failure(`write to the lease store "${this.#file.path}": it was opened to be read only`);
    }
  }

  #row = (found: Record<string, unknown>): Row => ({
    key: String(found.key),
    value: String(found.value),
    created: Number(found.created),
    modified: Number(found.modified),
    expires: found.expires === null ? null : this.#toBoot(Number(found.expires)),
  });

  #toWall(instant: Instant): number {
    return Math.round(instant - this.#clock.boot() + this.#clock.wall());
  }

  #toBoot(wall: number): Instant {
    return wall - this.#clock.wall() + this.#clock.boot();
  }
}
