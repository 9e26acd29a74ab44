/**
 * A store in memory, for tests and simulations: one `MemoryCluster` stands for the cluster's database, each host has a store
 * of its own on it.
 *
 * It keeps keys and values as text, as etcd does, so that malformed ones can be put in by hand. Time is the given clock's:
 * nothing expires before somebody moves it. Faults are asked for:
 * - `startOutage`, `endOutage`: nobody reaches the database; `disconnect`, `reconnect` on a store: that host alone;
 * - `latencyMs`: how long each operation takes;
 * - `inject`: called before each operation, decides whether it fails, or is done while its reply gets lost;
 * - `dropEvents`: so many of the next changes are never told to watchers, which notice only when they compare (`watch_guard.ts`);
 * - `compact`: the change log is forgotten, watchers behind it must list again.
 */
import type { Clock, Instant, Random } from "../../model/clock.ts";
import type { Log } from "../../observe/log.ts";
import type { ChangeFeed, Cursor } from "./change_feed.ts";
import type { ConfigSource, ConfigText } from "../config_source.ts";
import { LEASE_TTL_MS } from "../lease_table.ts";
import { rowStoreParts } from "./row_store.ts";
import { changeOf, type Row, type Rows, RowTable, snapshotOf, type Transact } from "./row_table.ts";
import { type StoreEvent, StoreUnavailable } from "../store.ts";
import { TableStore } from "../table_store.ts";
import { Trigger } from "../../async/trigger.ts";

/** `fail`: nothing is done. `lose reply`: it is done, and the caller hears of an outage. */
export type Fault = "fail" | "lose reply";
export type Operation = "table" | "watch";

export interface MemoryStoreOptions {
  readonly random: Random;
  readonly log?: Log;
  readonly ttlMs?: number;
  readonly name?: string;
}

interface Change {
  readonly revision: number;
  readonly key: string;
}

export class MemoryCluster {
  latencyMs = 0;
  dropEvents = 0;
  /** Operations so far, over all stores: the number that `inject` gets. */
  operations = 0;
  inject: (operation: Operation, number: number) => Fault | null = () => null;
  readonly clock: Clock;
  readonly #rows = new Map<string, Row>();
  readonly #triggers = new Set<Trigger>();
  #changes: Change[] = [];
  #revision = 0;
  /** Changes up to and including this revision are forgotten. */
  #compacted = 0;
  #nextExpiry: Instant = Infinity;
  #outage: string | null = null;
  #config: string | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** One host's store. */
  store(options: MemoryStoreOptions): MemoryStore {
    return new MemoryStore(this, options);
  }

  /** The raw value of a key, as any client would read it. */
  get(key: string): string | null {
    this.#sweep();
    return this.#rows.get(key)?.value ?? null;
  }

  /** Milliseconds until the key runs out; null where it never does or is absent. */
  ttl(key: string): number | null {
    const expires = this.#rows.get(key)?.expires ?? null;
    return expires === null ? null : expires - this.clock.boot();
  }

  /** Writes a raw value, readable or not; without `ttlMs` it never runs out. */
  put(key: string, value: string, ttlMs: number | null = null): void {
    this.#sweep();
    this.#put(key, value, ttlMs === null ? null : this.clock.boot() + ttlMs);
  }

  delete(key: string): void {
    this.#sweep();
    this.#delete(key);
  }

  keys(): readonly string[] {
    this.#sweep();
    return [...this.#rows.keys()];
  }

  /** The network configuration's text; null removes it. */
  setConfig(text: string | null): void {
    this.#config = text;
    this.wakeAll();
  }

  configText(): ConfigText {
    if (this.#outage !== null) return { type: "problem", error: this.#outage };
    if (this.#config !== null) return { type: "text", text: this.#config };
    return {
      type: "problem",
      state: "absent",
      error: "flannel config not found in memory store: there is none yet; set the network configuration",
    };
  }

  startOutage(reason = "the memory store is switched off"): void {
    this.#outage = reason;
    this.wakeAll();
  }

  endOutage(): void {
    this.#outage = null;
    this.wakeAll();
  }

  compact(): void {
    this.#compacted = this.#revision;
    this.#changes = [];
  }

  /** @throws StoreUnavailable during an outage */
  checkReachable(): void {
    if (this.#outage !== null) throw new StoreUnavailable(this.#outage);
  }

  transact<T>(body: (rows: Rows) => T): T {
    this.#sweep();
    return body({
      all: () => [...this.#rows.values()],
      get: (key) => this.#rows.get(key),
      put: (key, value, expires) => this.#put(key, value, expires),
      extend: (key, expires) => this.#extend(key, expires),
      delete: (key) => this.#delete(key),
    });
  }

  readChanges(cursor: Cursor | null): { events: readonly StoreEvent[]; cursor: Cursor } {
    this.#sweep();
    const seen = Number(cursor);
    const events = cursor === null || seen < this.#compacted
      ? [snapshotOf([...this.#rows.values()])]
      : this.#since(seen).flatMap((key) => changeOf(key, this.#rows.get(key)));
    return { events, cursor: String(this.#revision) };
  }

  /** Milliseconds until the next row runs out. */
  untilExpiry(): number {
    return Math.max(0, this.#nextExpiry - this.clock.boot());
  }

  subscribe(trigger: Trigger, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#triggers.add(trigger);
    signal.addEventListener("abort", () => this.#triggers.delete(trigger), { once: true });
  }

  wakeAll(): void {
    for (const trigger of this.#triggers) trigger.ring();
  }

  /** Keys changed after `revision`, each once. */
  #since(revision: number): string[] {
    const first = this.#changes.findLastIndex((change) => change.revision <= revision) + 1;
    return [...new Set(this.#changes.slice(first).map((change) => change.key))];
  }

  #put(key: string, value: string, expires: Instant | null): Row {
    const modified = this.#record(key);
    const row = { key, value, created: this.#rows.get(key)?.created ?? modified, modified, expires };
    this.#rows.set(key, row);
    this.#nextExpiry = Math.min(this.#nextExpiry, expires ?? Infinity);
    return row;
  }

  #extend(key: string, expires: Instant): void {
    const row = this.#rows.get(key);
    if (row !== undefined) this.#rows.set(key, { ...row, expires });
  }

  #delete(key: string): void {
    if (this.#rows.delete(key)) this.#record(key);
  }

  #record(key: string): number {
    this.#revision++;
    if (this.dropEvents > 0) this.dropEvents--;
    else this.#changes.push({ revision: this.#revision, key });
    this.wakeAll();
    return this.#revision;
  }

  #sweep(): void {
    const now = this.clock.boot();
    if (now < this.#nextExpiry) return;
    this.#nextExpiry = Infinity;
    for (const { key, expires } of [...this.#rows.values()]) {
      if (expires !== null && expires <= now) this.#delete(key);
      else this.#nextExpiry = Math.min(this.#nextExpiry, expires ?? Infinity);
    }
  }
}

/** One host's store on a cluster in memory. */
export class MemoryStore extends TableStore {
  readonly #link: Link;

  constructor(cluster: MemoryCluster, options: MemoryStoreOptions) {
    const { random, log, ttlMs = LEASE_TTL_MS, name = "Memory" } = options;
    const { clock } = cluster;
    const link = new Link(cluster);
    const transact: Transact = (body) => link.call("table", () => cluster.transact(body));
    super(rowStoreParts({
      name,
      table: new RowTable(transact, clock, ttlMs),
      feed: (signal) => link.feed(signal),
      config: link,
      deps: { clock, random, ...(log === undefined ? {} : { log }) },
      close: () => link.disconnect("the store was closed"),
    }));
    this.#link = link;
  }

  /** This host reaches the cluster no more. */
  disconnect(reason = "no route to the memory store"): void {
    this.#link.disconnect(reason);
  }

  reconnect(): void {
    this.#link.reconnect();
  }
}

/** The way from one host to the cluster: where latency and faults happen. */
class Link implements ConfigSource {
  readonly name = "the memory store";
  readonly #cluster: MemoryCluster;
  #broken: string | null = null;

  constructor(cluster: MemoryCluster) {
    this.#cluster = cluster;
  }

  disconnect(reason: string): void {
    this.#broken = reason;
    this.#cluster.wakeAll();
  }

  reconnect(): void {
    this.#broken = null;
    this.#cluster.wakeAll();
  }

  async call<T>(operation: Operation, body: () => T): Promise<T> {
    const cluster = this.#cluster;
    const fault = cluster.inject(operation, cluster.operations++);
    if (cluster.latencyMs > 0) await cluster.clock.sleep(cluster.latencyMs);
    if (this.#broken !== null) throw new StoreUnavailable(this.#broken);
    cluster.checkReachable();
    if (fault === "fail") throw new StoreUnavailable("injected failure");
    const result = body();
    if (fault === "lose reply") throw new StoreUnavailable("injected loss of the reply");
    return result;
  }

  feed(signal: AbortSignal): ChangeFeed {
    const cluster = this.#cluster;
    const trigger = this.#trigger(signal);
    return {
      read: (cursor) => this.call("watch", () => cluster.readChanges(cursor)),
      wait: async (signal, atMost = Infinity) => {
        await trigger.waitFor(Math.min(cluster.untilExpiry(), atMost), cluster.clock, signal);
      },
    };
  }

  async *watch(signal: AbortSignal): AsyncIterable<ConfigText> {
    const trigger = this.#trigger(signal);
    while (!signal.aborted) {
      yield this.#broken === null ? this.#cluster.configText() : { type: "problem", error: this.#broken };
      await trigger.waitFor(Infinity, this.#cluster.clock, signal);
    }
  }

  #trigger(signal: AbortSignal): Trigger {
    const trigger = new Trigger();
    this.#cluster.subscribe(trigger, signal);
    return trigger;
  }
}
