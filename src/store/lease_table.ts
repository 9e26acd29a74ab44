/**
 * The few conditional operations that every allocating store is made of. `acquire.ts` builds the taking of a subnet on them,
 * once for all stores; an adapter (etcd, SQLite, memory) implements them and the watch.
 *
 * All reject with StoreUnavailable where the store is out of reach, with Failure where it refuses us for good.
 */
import type { Instant } from "../model/clock.ts";
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";
import type { Listing, Lost, Unreadable } from "./store.ts";

/** Upstream's lease time: 24 hours. */
export const LEASE_TTL_MS = 86_400_000;

export interface LeaseTable {
  /** Everything, as of now (linearizable). */
  list(): Promise<Listing>;
  /** Writes a new record with a full lease time; null where the key exists. */
  create(subnets: Subnets, record: LeaseRecord): Promise<Lease | null>;
  /** Replaces the record if it is still at `lease.version`, with a full lease time; a reservation stays one. */
  update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost>;
  /** Extends the lease time if the record is still ours; a reservation is only checked. */
  renew(lease: Lease): Promise<Lease | Lost>;
  /** Removes the record if it is still at `lease.version`. */
  remove(lease: Lease): Promise<void>;
  /** Removes a misplaced record if it is as it was read. */
  discard?(unreadable: Unreadable): Promise<void>;
}

/** A table in which a record can stand for one elsewhere, and end when that does. */
export interface CopyTable extends LeaseTable {
  /** Like `list`, with the exact end of every lease. */
  listExact(): Promise<Listing>;
  /** What stands at the key of these subnets (linearizable); null where nothing does. */
  find(subnets: Subnets): Promise<Lease | Unreadable | null>;
  /** When a lease ends, as of now; null where it never does. */
  endOf(lease: Lease): Promise<Instant | null>;
  /** Writes a new record that ends then (null: never); null where the key exists. */
  createUntil(subnets: Subnets, record: LeaseRecord, expires: Instant | null): Promise<Lease | null>;
  /** Replaces the record if it is still at `lease.version`. */
  updateUntil(lease: Lease, record: LeaseRecord, expires: Instant | null): Promise<Lease | Lost>;
}
