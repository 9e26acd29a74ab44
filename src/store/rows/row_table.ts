/**
 * The conditional operations of a lease table, and the reading of records, for stores that keep rows of text and can do several
 * reads and writes as one step (memory, SQLite).
 *
 * A row's version changes with its content, not with a renewal: nobody needs to hear of those. Rows past their expiry are gone
 * before a transaction's body sees them; seeing to that is the store's part.
 */
import type { Clock, Instant } from "../../model/clock.ts";
import { messageOf } from "../../model/errors.ts";
import type { Lease, LeaseRecord, Subnets } from "../../model/lease.ts";
import { decodeRecord, encodeRecord, formatLeaseKey, parseAnyLeaseKey } from "../../model/lease_codec.ts";
import { isAsWritten, type LeaseTable, lookAt } from "../lease_table.ts";
import type { Listing, Look, Lost, StoreEvent, Unreadable } from "../store.ts";

export interface Row {
  readonly key: string;
  readonly value: string;
  /** Revision in which the key came to be, and that of its last change. */
  readonly created: number;
  readonly modified: number;
  readonly expires: Instant | null;
}

/** What the body of a transaction can do. */
export interface Rows {
  all(): readonly Row[];
  get(key: string): Row | undefined;
  /** Makes the row, or changes it: a new revision either way. */
  put(key: string, value: string, expires: Instant | null): Row;
  /** Changes the expiry alone. */
  extend(key: string, expires: Instant): void;
  delete(key: string): void;
}

/** Runs `body` as one step that nobody else's comes between. `body` must not wait for anything. */
export type Transact = <T>(body: (rows: Rows) => T) => Promise<T>;

export class RowTable implements LeaseTable {
  readonly #transact: Transact;
  readonly #clock: Clock;
  readonly #ttlMs: number;

  constructor(transact: Transact, clock: Clock, ttlMs: number) {
    this.#transact = transact;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  list(): Promise<Listing> {
    return this.#transact((rows) => listing(rows.all()));
  }

  look(lease: Lease): Promise<Look> {
    return this.#transact((rows) => {
      const row = rows.get(formatLeaseKey(lease.subnets));
      return lookAt(row === undefined ? null : readRow(row), lease);
    });
  }

  create(subnets: Subnets, record: LeaseRecord): Promise<Lease | null> {
    const key = formatLeaseKey(subnets);
    return this.#transact((rows) => {
      if (rows.get(key) !== undefined) return null;
      return leaseOf(rows.put(key, encodeRecord(record), this.#expiry()), subnets, record);
    });
  }

  update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost> {
    return this.#ifCurrent(lease, (rows, row) => {
      const expires = row.expires === null ? null : this.#expiry();
      return leaseOf(rows.put(row.key, encodeRecord(record), expires), lease.subnets, record);
    });
  }

  renew(lease: Lease): Promise<Lease | Lost> {
    return this.#ifCurrent(lease, (rows, row) => {
      if (row.expires === null) return { ...lease, expires: null };
      const expires = this.#expiry();
      rows.extend(row.key, expires);
      return { ...lease, expires };
    });
  }

  async remove(lease: Lease): Promise<void> {
    await this.#ifCurrent(lease, (rows, row) => {
      rows.delete(row.key);
      return lease;
    });
  }

  #expiry(): Instant {
    return this.#clock.boot() + this.#ttlMs;
  }

  #ifCurrent(lease: Lease, body: (rows: Rows, row: Row) => Lease): Promise<Lease | Lost> {
    return this.#transact((rows) => {
      const row = rows.get(formatLeaseKey(lease.subnets));
      if (row === undefined) return { lost: "absent" };
      return isAsWritten(readRow(row), lease) ? body(rows, row) : taken(row);
    });
  }
}

function versionOf(row: Row): string {
  return `${row.created}.${row.modified}`;
}

function leaseOf(row: Row, subnets: Subnets, record: LeaseRecord): Lease {
  return { subnets, record, version: versionOf(row), created: row.created, expires: row.expires };
}

function taken(row: Row): Lost {
  const read = readRow(row);
  return "reason" in read ? { lost: "taken" } : { lost: "taken", by: read.record };
}

function readRow(row: Row): Lease | Unreadable {
  const { key } = row;
  const subnets = parseAnyLeaseKey(key);
  if (subnets === null) return { key, subnets, reason: "the key names no subnet" };
  try {
    return leaseOf(row, subnets, decodeRecord(row.value));
  } catch (error) {
    return { key, subnets, reason: `the value ${messageOf(error)}` };
  }
}

export function listing(rows: readonly Row[]): Listing {
  const leases: Lease[] = [];
  const unreadable: Unreadable[] = [];
  for (const row of rows) {
    const read = readRow(row);
    if ("reason" in read) unreadable.push(read);
    else leases.push(read);
  }
  return { leases, unreadable };
}

export function snapshotOf(rows: readonly Row[]): StoreEvent {
  return { type: "snapshot", ...listing(rows) };
}

/** What to tell of one key that changed: its row as it is now, or undefined where it is gone. */
export function changeOf(key: string, row: Row | undefined): readonly StoreEvent[] {
  if (row === undefined) {
    const subnets = parseAnyLeaseKey(key);
    return [subnets === null ? { type: "gone", key } : { type: "delete", subnets }];
  }
  const read = readRow(row);
  return "reason" in read ? [{ type: "unreadable", unreadable: read }] : [{ type: "put", lease: read }];
}
