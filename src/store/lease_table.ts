/**
 * The few conditional operations that every allocating store is made of. `acquire.ts` builds the taking of a subnet on them,
 * once for all stores; an adapter (etcd, SQLite, memory) implements them and the watch.
 *
 * Every write is conditional on the version and on the record itself: a store that was restored from a backup uses versions again.
 *
 * All reject with StoreUnavailable where the store is out of reach, with Failure where it refuses us for good.
 */
import type { Instant } from "../model/clock.ts";
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";
import { sameRecord } from "../model/lease_codec.ts";
import type { Listing, Look, Lost, Unreadable } from "./store.ts";

/** Upstream's lease time: 24 hours. */
export const LEASE_TTL_MS = 86_400_000;

export interface LeaseTable {
  /** Everything, as of now (linearizable). */
  list(): Promise<Listing>;
  /** What stands at the subnets of `lease` (linearizable), which we know as it was written. */
  look(lease: Lease): Promise<Look>;
  /** Writes a new record with a full lease time; null where the key exists. */
  create(subnets: Subnets, record: LeaseRecord): Promise<Lease | null>;
  /** Replaces the record if it stands as `lease` says, with a full lease time; a reservation stays one. */
  update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost>;
  /** Extends the lease time if the record stands as `lease` says; a reservation is only checked. */
  renew(lease: Lease): Promise<Lease | Lost>;
  /** Removes the record if it stands as `lease` says. */
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
  /** Replaces the record if it stands as `lease` says. */
  updateUntil(lease: Lease, record: LeaseRecord, expires: Instant | null): Promise<Lease | Lost>;
}

/** True where what stands is at the version of `lease` and says the same. */
export function isAsWritten(found: Lease | Unreadable | null, lease: Lease): found is Lease {
  return found !== null && !("reason" in found) && found.version === lease.version &&
    sameRecord(found.record, lease.record);
}

/** A look at what was found. */
export function lookAt(found: Lease | Unreadable | null, lease: Lease): Look {
  return { found, asWritten: isAsWritten(found, lease) };
}
