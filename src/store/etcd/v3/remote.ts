/**
 * The seam between our logic and etcd v3: the few remote calls that the store needs, and nothing of any client library.
 *
 * - `client.ts` implements it over the network; tests implement it in memory, so that a simulation covers all that
 *   the store decides, with its own clock.
 * - A call may be sent twice (to another member after the first fell silent), so that a write which reports a conflict
 *   may have conflicted with itself: the caller looks at `current`.
 * - Names follow etcd's API (etcdserverpb). Keys and values are UTF-8 text. Revisions stay below 2^53; lease ids use all
 *   63 bits and so are decimal text.
 */
import { type EtcdReader, HistoryLost, type ResponseHeader, type StoredKey } from "../reader.ts";

export interface V3Remote extends EtcdReader<KeyValue> {
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
  /** Seconds that a lease has left; 0 where it is gone. */
  leaseTimeToLive(id: LeaseId, signal?: AbortSignal): Promise<number>;
  /** Ends a lease and removes its keys; nothing happens where it is gone. */
  revokeLease(id: LeaseId, signal?: AbortSignal): Promise<void>;
}

/** Decimal text of an int64; `NO_LEASE` where a key has none. */
export type LeaseId = string;
export const NO_LEASE: LeaseId = "0";

export interface KeyValue extends StoredKey {
  readonly value: string;
  readonly createRevision: number;
  readonly lease: LeaseId;
}

export interface ConditionalWrite {
  readonly key: string;
  /** The modification revision at which the key must be; 0: it must not exist. */
  readonly expect: number;
  /** The value that the key must have as well: a store that was restored from a backup uses revisions again. */
  readonly expectValue?: string;
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

/** The revision asked for lies before etcd's last compaction. */
export class Compacted extends HistoryLost {
  override readonly name = "Compacted";
  constructor(readonly revision: number) {
    super(`etcd has compacted its history up to revision ${revision}`);
  }
}

/** The etcd lease named in a put has run out or was revoked. */
export class LeaseNotFound extends Error {
  override readonly name = "LeaseNotFound";
}
