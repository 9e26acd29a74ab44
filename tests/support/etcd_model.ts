/**
 * etcd in memory, behind the same seam as the real one (`V3Remote`), on any clock: for simulations.
 *
 * Revisions, conditional writes, leases and watches with their history are etcd's. Faults are asked for:
 * - `outage`: nobody is answered, watches break; `breakWatches`: only those;
 * - `inject`: called before each call, decides whether it fails, is done while its reply gets lost, or is done twice (as
 *   fail-over does it after a lost reply);
 * - `muteWatches`: watches stay open and are told nothing; `dropEvents`: so many changes are not told;
 * - `compact`: history is forgotten; `snapshot`, `restore`: a backup, which takes the revision back.
 */
import type { Clock, Instant } from "../../src/model/clock.ts";
import type {
  HistoryLost,
  KeyRange,
  RangeRequest,
  RangeResponse,
  ResponseHeader,
  StoredKey,
} from "../../src/store/etcd/reader.ts";
import type * as remote from "../../src/store/etcd/reader.ts";
import {
  Compacted,
  type ConditionalWrite,
  type GrantedLease,
  type KeyValue,
  type LeaseId,
  LeaseNotFound,
  NO_LEASE,
  type V3Remote,
  type WriteResponse,
} from "../../src/store/etcd/v3/remote.ts";
import { StoreUnavailable } from "../../src/store/store.ts";

/** A key as it was when it was written. */
export interface ModelKey extends KeyValue {
  /** Of its lease then; null where it has none. */
  readonly ends: Instant | null;
}

type WatchEvent = remote.WatchEvent<ModelKey>;

export type EtcdFault = "fail" | "lose reply" | "twice";
export type EtcdCall = "range" | "write" | "grant" | "keep alive" | "time to live" | "revoke" | "watch";

interface LeaseState {
  readonly ttl: number;
  ends: Instant;
}

export interface Backup {
  readonly keys: ReadonlyMap<string, ModelKey>;
  readonly leases: ReadonlyMap<LeaseId, LeaseState>;
  readonly history: readonly WatchEvent[];
  readonly compacted: number;
  readonly revision: number;
}

export class EtcdModel {
  cluster = "1";
  revision = 1;
  compacted = 0;
  outage: string | null = null;
  muteWatches = false;
  dropEvents = 0;
  /** Calls so far: the number that `inject` gets. */
  calls = 0;
  inject: (call: EtcdCall, number: number) => EtcdFault | null = () => null;
  /** Called after each change, also one that watches are not told. */
  changedKey: (event: WatchEvent) => void = () => {};
  keys = new Map<string, ModelKey>();
  readonly leases = new Map<LeaseId, LeaseState>();
  readonly clock: Clock;
  history: WatchEvent[] = [];
  #nextLease = 7_000_000_000_000_000_001n;
  #waiting = Promise.withResolvers<void>();
  #breaks = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** One host's connection. */
  connect(): V3Remote {
    return new ModelRemote(this);
  }

  get header(): ResponseHeader {
    return { cluster: this.cluster, revision: this.revision };
  }

  /** How often watches were broken so far. */
  get breaks(): number {
    return this.#breaks;
  }

  startOutage(reason = "the etcd model is switched off"): void {
    this.outage = reason;
    this.breakWatches();
  }

  endOutage(): void {
    this.outage = null;
  }

  breakWatches(): void {
    this.#breaks++;
    this.wake();
  }

  /** As etcd 3.4 does it: of the revision itself a put is kept, a deletion is not. */
  compact(): void {
    this.compacted = this.revision;
    this.history = this.history.filter(({ type, kv }) => type === "put" && kv.modRevision >= this.revision);
  }

  snapshot(): Backup {
    const { keys, leases, history, compacted, revision } = this;
    return { keys: new Map(keys), leases: new Map(leases), history: [...history], compacted, revision };
  }

  restore(backup: Backup): void {
    this.keys = new Map(backup.keys);
    this.leases.clear();
    // A restored lease starts anew.
    for (const [id, { ttl }] of backup.leases) {
      this.leases.set(id, { ttl, ends: this.clock.boot() + ttl * 1000 });
    }
    this.revision = backup.revision;
    this.compacted = backup.compacted;
    this.history = [...backup.history];
    this.breakWatches();
  }

  put(key: string, value: string, lease: LeaseId = NO_LEASE): void {
    if (lease !== NO_LEASE && !this.leases.has(lease)) throw new LeaseNotFound("lease not found");
    this.revision++;
    const createRevision = this.keys.get(key)?.createRevision ?? this.revision;
    const ends = this.leases.get(lease)?.ends ?? null;
    const kv = { key, value, lease, createRevision, modRevision: this.revision, ends };
    this.keys.set(key, kv);
    this.#tell({ type: "put", kv });
  }

  delete(key: string): void {
    if (!this.keys.delete(key)) return;
    this.revision++;
    const kv = { key, value: "", lease: NO_LEASE, createRevision: 0, modRevision: this.revision, ends: null };
    this.#tell({ type: "delete", kv });
  }

  grant(ttl: number): GrantedLease {
    const id = String(this.#nextLease++);
    this.leases.set(id, { ttl, ends: this.clock.boot() + ttl * 1000 });
    return { id, ttl };
  }

  revoke(id: LeaseId): void {
    this.leases.delete(id);
    for (const kv of [...this.keys.values()]) if (kv.lease === id) this.delete(kv.key);
  }

  /** Ends the leases whose time is over. */
  sweep(): void {
    for (const [id, { ends }] of [...this.leases]) if (ends <= this.clock.boot()) this.revoke(id);
  }

  #tell(event: WatchEvent): void {
    if (this.dropEvents > 0) this.dropEvents--;
    else this.history.push(event);
    this.changedKey(event);
    this.wake();
  }

  wake(): void {
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  /** Resolves at the next change, break or expiry. */
  async changed(signal: AbortSignal): Promise<void> {
    const ends = Math.min(...[...this.leases.values()].map((lease) => lease.ends));
    const stop = new AbortController();
    const expiry = Number.isFinite(ends)
      ? this.clock.sleep(Math.max(0, ends - this.clock.boot()), AbortSignal.any([signal, stop.signal]))
      : new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    try {
      await Promise.race([this.#waiting.promise, expiry]);
    } finally {
      stop.abort();
    }
  }
}

/** What a connection is whichever API it speaks. */
export abstract class ModelReader<K extends StoredKey> {
  readonly endpoints = '"model"';
  protected readonly model: EtcdModel;
  readonly #closed = new AbortController();

  constructor(model: EtcdModel) {
    this.model = model;
  }

  /** A key as this API tells it; `at` the time of writing, or as it is now. */
  protected abstract shown(kv: ModelKey, at: "then" | "now"): K;
  /** What a watch ends with that comes too late. */
  protected abstract historyLost(revision: number): HistoryLost;
  /** How this API tells what happened since it last did. */
  protected abstract batches(events: readonly remote.WatchEvent<K>[]): remote.WatchBatch<K>[];

  range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse<K>> {
    return this.call("range", signal, (model) => {
      const found = [...model.keys.values()].filter(({ key }) => inRange(request, key));
      found.sort((a, b) => request.newestOnly ? b.modRevision - a.modRevision : a.key < b.key ? -1 : 1);
      const kvs = request.newestOnly ? found.slice(0, 1) : found;
      return {
        header: model.header,
        kvs: kvs.map((kv) => this.shown(kv, "now")),
        count: found.length,
      };
    });
  }

  async *watch(
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<remote.WatchBatch<K>> {
    const model = this.model;
    const stop = AbortSignal.any([signal, this.#closed.signal]);
    await this.call("watch", signal, () => {});
    const breaks = model.breaks;
    yield { header: model.header, events: [] };
    for (let next = fromRevision;;) {
      stop.throwIfAborted();
      if (model.breaks !== breaks || model.outage !== null) throw new StoreUnavailable("the watch broke");
      model.sweep();
      if (next < model.compacted) throw this.historyLost(model.compacted);
      const events = model.muteWatches ? [] : model.history.filter(({ kv }) => kv.modRevision >= next);
      const ours = events.filter(({ kv }) => inRange(range, kv.key))
        .map(({ type, kv }) => ({ type, kv: this.shown(kv, "then") }));
      if (events.length > 0) next = model.revision + 1;
      if (ours.length > 0) yield* this.batches(ours);
      else await model.changed(stop);
    }
  }

  close(): Promise<void> {
    this.#closed.abort(new StoreUnavailable("the connection to etcd is closed"));
    return Promise.resolve();
  }

  protected async call<T>(
    call: EtcdCall,
    signal: AbortSignal | undefined,
    work: (model: EtcdModel) => T,
  ): Promise<T> {
    const model = this.model;
    // Others come between two calls, as on a network.
    await Promise.resolve();
    signal?.throwIfAborted();
    this.#closed.signal.throwIfAborted();
    const fault = model.inject(call, model.calls++);
    if (model.outage !== null) throw new StoreUnavailable(model.outage);
    if (fault === "fail") throw new StoreUnavailable("injected failure");
    model.sweep();
    const result = work(model);
    if (fault === "lose reply") throw new StoreUnavailable("injected loss of the reply");
    return fault === "twice" ? work(model) : result;
  }
}

class ModelRemote extends ModelReader<KeyValue> implements V3Remote {
  protected shown(kv: ModelKey): KeyValue {
    return kv;
  }

  protected historyLost(revision: number): Compacted {
    return new Compacted(revision);
  }

  protected batches(events: readonly remote.WatchEvent<KeyValue>[]): remote.WatchBatch<KeyValue>[] {
    return [{ header: this.model.header, events }];
  }

  write({ key, expect, expectValue, put }: ConditionalWrite, signal?: AbortSignal): Promise<WriteResponse> {
    return this.call("write", signal, (model) => {
      const current = model.keys.get(key) ?? null;
      const other = expectValue !== undefined && current?.value !== expectValue;
      if ((current?.modRevision ?? 0) !== expect || other) {
        return { header: model.header, succeeded: false, current };
      }
      if (put === null) model.delete(key);
      else model.put(key, put.value, put.lease);
      return { header: model.header, succeeded: true, current: null };
    });
  }

  grantLease(ttl: number, signal?: AbortSignal): Promise<GrantedLease> {
    return this.call("grant", signal, (model) => model.grant(ttl));
  }

  keepLeaseAlive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    return this.call("keep alive", signal, (model) => {
      const lease = model.leases.get(id);
      if (lease === undefined) return 0;
      lease.ends = model.clock.boot() + lease.ttl * 1000;
      return lease.ttl;
    });
  }

  leaseTimeToLive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    return this.call("time to live", signal, (model) => {
      const lease = model.leases.get(id);
      return lease === undefined ? 0 : Math.floor((lease.ends - model.clock.boot()) / 1000);
    });
  }

  revokeLease(id: LeaseId, signal?: AbortSignal): Promise<void> {
    return this.call("revoke", signal, (model) => model.revoke(id));
  }
}

function inRange({ key, end }: KeyRange, candidate: string): boolean {
  return end === null ? candidate === key : candidate >= key && candidate < end;
}
