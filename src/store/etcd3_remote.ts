/**
 * The seam between our logic and etcd v3: the few remote calls that the store needs, and nothing of any client library.
 *
 * - `etcd3_client.ts` implements it over the network; tests implement it in memory, so that a simulation covers all that
 *   the store decides, with its own clock.
 * - Every call ends: with an answer, a `StoreUnavailable` at the latest when its overall deadline is over, a `Failure`
 *   where etcd or the TLS handshake refuses us, or the reason of the aborted signal.
 * - A call may be sent twice (to another member after the first fell silent), so that a write which reports a conflict
 *   may have conflicted with itself: the caller looks at `current`.
 * - Names follow etcd's API (etcdserverpb). Keys and values are UTF-8 text. Revisions stay below 2^53; lease ids use all
 *   63 bits and so are decimal text.
 */

export interface EtcdRemote {
  /** For messages: `"http://10.0.0.1:2379", "http://10.0.0.2:2379"`. */
  readonly endpoints: string;
  /** Linearizable. */
  range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse>;
  /**
   * One transaction: if the key is as expected then put or delete, else read it.
   *
   * @throws LeaseNotFound where the put names an etcd lease that is gone
   */
  write(request: ConditionalWrite, signal?: AbortSignal): Promise<WriteResponse>;
  /** @param ttl seconds; etcd may grant more */
  grantLease(ttl: number, signal?: AbortSignal): Promise<GrantedLease>;
  /** One keep-alive: the granted TTL in seconds, from now on; 0 where the lease is gone. */
  keepLeaseAlive(id: LeaseId, signal?: AbortSignal): Promise<number>;
  /** Ends a lease and removes its keys; nothing happens where it is gone. */
  revokeLease(id: LeaseId, signal?: AbortSignal): Promise<void>;
  /**
   * Everything that happens in the range from `fromRevision` on. The first batch is empty and says that the watch stands;
   * later empty ones say how far etcd has come. Ends only by throwing.
   *
   * @throws Compacted where etcd has forgotten `fromRevision`; StoreUnavailable when the connection is lost
   */
  watch(range: KeyRange, fromRevision: number, signal: AbortSignal): AsyncIterable<WatchBatch>;
  /** Ends all watches and connections; calls under way reject. */
  close(): Promise<void>;
}

/** Decimal text of an int64; `NO_LEASE` where a key has none. */
export type LeaseId = string;
export const NO_LEASE: LeaseId = "0";

/** The keys from `key` up to `end`, exclusive; just `key` where `end` is null. */
export interface KeyRange {
  readonly key: string;
  readonly end: string | null;
}

export interface RangeRequest extends KeyRange {
  /** Only the key that was modified last, without its value; `count` still counts all. */
  readonly newestOnly?: boolean;
}

export interface ResponseHeader {
  /** The cluster's id, decimal. */
  readonly cluster: string;
  /** The store's revision when the request was served. */
  readonly revision: number;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: LeaseId;
}

export interface RangeResponse {
  readonly header: ResponseHeader;
  readonly kvs: readonly KeyValue[];
  readonly count: number;
}

export interface ConditionalWrite {
  readonly key: string;
  /** The modification revision at which the key must be; 0: it must not exist. */
  readonly expect: number;
  /** Null deletes. */
  readonly put: { readonly value: string; readonly lease: LeaseId } | null;
}

export interface WriteResponse {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  /** Where it did not succeed, the key as it is; null where it is absent. */
  readonly current: KeyValue | null;
}

export interface GrantedLease {
  readonly id: LeaseId;
  /** Seconds. */
  readonly ttl: number;
}

export interface WatchBatch {
  readonly header: ResponseHeader;
  readonly events: readonly WatchEvent[];
}

/** For a delete, only `key` and `modRevision` (the deletion's) mean anything. */
export interface WatchEvent {
  readonly type: "put" | "delete";
  readonly kv: KeyValue;
}

/** The revision asked for lies before etcd's last compaction. */
export class Compacted extends Error {
  override readonly name = "Compacted";
  constructor(readonly revision: number) {
    super(`etcd has compacted its history up to revision ${revision}`);
  }
}

/** The etcd lease named in a put has run out or was revoked. */
export class LeaseNotFound extends Error {
  override readonly name = "LeaseNotFound";
}

/** The range of all keys that begin with `prefix`, which ends in an ASCII character below `~`. */
export function prefixRange(prefix: string): KeyRange {
  const last = prefix.length - 1;
  return { key: prefix, end: prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1) };
}
