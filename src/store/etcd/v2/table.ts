/**
 * `LeaseTable` on etcd's v2 API: host records with a lifetime of their own (spec §3.2), every write conditional.
 *
 * - Renewing writes the same value again with a full lifetime, as upstream does; a record without one is a reservation and
 *   is only looked at.
 * - A write first reads, and is on the condition that what was read still stands, by its index and its value.
 * - A write that reports a conflict may have met itself (see `remote.ts`): a record that stands exactly as we wanted it
 *   counts as written.
 * - Values are written as upstream's releases of that time wrote them.
 */
import type { Clock, Instant } from "../../../model/clock.ts";
import type { Lease, LeaseRecord, Subnets } from "../../../model/lease.ts";
import { encodeRecord } from "../../../model/lease_codec.ts";
import {
  type EtcdKeys,
  leaseKey,
  lostTo,
  misplacedKey,
  readLease,
  readListing,
  type Stored,
} from "../keys.ts";
import type { V2Node, V2Remote, V2Write } from "./remote.ts";
import { type CopyTable, isAsWritten, lookAt } from "../../lease_table.ts";
import type { Listing, Look, Lost, Unreadable } from "../../store.ts";

interface Put {
  readonly key: string;
  readonly value: string;
  /** Null: nothing must stand there. */
  readonly over: V2Node | null;
  /** Seconds; null: for ever. */
  readonly ttl: number | null;
}

type Written = Pick<Lease, "version" | "created" | "expires">;

export class V2Table implements CopyTable {
  readonly #remote: V2Remote;
  readonly #keys: EtcdKeys;
  readonly #clock: Clock;
  /** Seconds. */
  readonly #ttl: number;

  /** @param ttl of a lease, milliseconds; etcd counts whole seconds */
  constructor(remote: V2Remote, keys: EtcdKeys, clock: Clock, ttl: number) {
    this.#remote = remote;
    this.#keys = keys;
    this.#clock = clock;
    this.#ttl = Math.ceil(ttl / 1000);
  }

  async list(): Promise<Listing> {
    const { kvs } = await this.#remote.range(this.#keys.records);
    return readListing(this.#keys, kvs.map(stored));
  }

  /** What stands at a key; null where it is no record's place. */
  read(node: V2Node): Lease | Unreadable | null {
    return readLease(this.#keys, stored(node));
  }

  /** Every list is. */
  listExact(): Promise<Listing> {
    return this.list();
  }

  async find(subnets: Subnets): Promise<Lease | Unreadable | null> {
    const node = await this.#at(leaseKey(this.#keys, subnets));
    return node && this.read(node);
  }

  async look(lease: Lease): Promise<Look> {
    return lookAt(await this.find(lease.subnets), lease);
  }

  endOf(lease: Lease): Promise<Instant | null> {
    return Promise.resolve(lease.expires);
  }

  create(subnets: Subnets, record: LeaseRecord): Promise<Lease | null> {
    return this.#create(subnets, record, this.#ttl);
  }

  createUntil(subnets: Subnets, record: LeaseRecord, expires: Instant | null): Promise<Lease | null> {
    return this.#create(subnets, record, this.#until(expires));
  }

  async #create(subnets: Subnets, record: LeaseRecord, ttl: number | null): Promise<Lease | null> {
    const key = leaseKey(this.#keys, subnets);
    const written = await this.#write({ key, value: encode(record), over: null, ttl });
    return "conflict" in written ? null : { subnets, record, ...written };
  }

  update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost> {
    return this.#update(lease, record, lease.expires === null ? null : this.#ttl);
  }

  updateUntil(lease: Lease, record: LeaseRecord, expires: Instant | null): Promise<Lease | Lost> {
    return this.#update(lease, record, this.#until(expires));
  }

  async #update(lease: Lease, record: LeaseRecord, ttl: number | null): Promise<Lease | Lost> {
    const key = leaseKey(this.#keys, lease.subnets);
    const over = await this.#at(key);
    if (over === null || !isAsWritten(this.read(over), lease)) return this.#lost(over);
    const written = await this.#write({ key, value: encode(record), over, ttl });
    if ("conflict" in written) return this.#lost(written.conflict);
    return { subnets: lease.subnets, record, ...written };
  }

  /** Reads, then writes what was read: it can neither bring back a record nor overwrite another's. */
  async renew(lease: Lease): Promise<Lease | Lost> {
    const key = leaseKey(this.#keys, lease.subnets);
    const node = await this.#at(key);
    const now = node && this.read(node);
    if (!isAsWritten(now, lease)) return this.#lost(node);
    if (now.expires === null) return now;
    const written = await this.#write({ key, value: node!.value!, over: node, ttl: this.#ttl });
    return "conflict" in written ? this.#lost(written.conflict) : { ...now, ...written };
  }

  async remove(lease: Lease): Promise<void> {
    const over = await this.#at(leaseKey(this.#keys, lease.subnets));
    if (over === null || !isAsWritten(this.read(over), lease)) return;
    await this.#remote.write({ key: over.key, ...standing(over), put: null });
  }

  async discard({ key, misplaced }: Unreadable): Promise<void> {
    if (misplaced === undefined) return;
    const expect = Number(misplaced.version);
    await this.#remote.write({ key: misplacedKey(this.#keys, key), expect, put: null });
  }

  async #at(key: string): Promise<V2Node | null> {
    return (await this.#remote.range({ key, end: null })).kvs[0] ?? null;
  }

  #until(expires: Instant | null): number | null {
    return expires === null ? null : Math.max(1, Math.floor((expires - this.#clock.boot()) / 1000));
  }

  /** Puts a value where the key is as expected; else tells what stands there. */
  async #write({ key, value, over, ttl }: Put): Promise<Written | { conflict: V2Node | null }> {
    const expires = ttl === null ? null : this.#clock.boot() + ttl * 1000;
    const result = await this.#remote.write({ key, ...standing(over), put: { value, ttl } });
    if (result.succeeded) return written(result.node, expires);
    const { current } = result;
    const ours = current?.value === value && (current.expires === null) === (ttl === null);
    return ours ? written(current, expires) : { conflict: current };
  }

  #lost(node: V2Node | null): Lost {
    return lostTo(this.#keys, node && stored(node));
  }
}

/** The condition of a write over this. */
function standing(over: V2Node | null): Pick<V2Write, "expect" | "expectValue"> {
  if (over === null) return { expect: 0 };
  return { expect: over.modRevision, ...(over.value !== null && { expectValue: over.value }) };
}

function encode(record: LeaseRecord): string {
  return encodeRecord(record, "before IPv6");
}

function written(node: V2Node, expires: Instant | null): Written {
  return { version: String(node.modRevision), created: node.createRevision, expires };
}

function stored({ key, value, createRevision, modRevision, expires }: V2Node): Stored {
  return { key, value, createRevision, version: String(modRevision), expires };
}
