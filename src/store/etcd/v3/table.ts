/**
 * `LeaseTable` on etcd: host records under etcd leases (spec §3.1.3), every write conditional.
 *
 * - A record keeps its etcd lease: renewing is one keep-alive, not a new lease and a new put each time as upstream does it.
 *   Another is granted only where the old one is gone or was granted for another time. The one left behind runs out by
 *   itself: revoking it could remove somebody's key.
 * - A record without an etcd lease is a reservation: written without one, never renewed.
 * - A write first reads, and is on the condition that what was read still stands, by its revision and its value.
 * - A write that reports a conflict may have met itself (see `remote.ts`): a record that stands exactly as we wanted it
 *   counts as written.
 * - `expires` is exact for what this table wrote or renewed. For all others etcd would have to be asked key by key; it is then
 *   the latest instant possible, one lease time from now.
 */
import type { Clock, Instant } from "../../../model/clock.ts";
import type { Lease, LeaseRecord, Subnets, Version } from "../../../model/lease.ts";
import { encodeRecord } from "../../../model/lease_codec.ts";
import { deadline } from "../../../async/deadline.ts";
import {
  type EtcdKeys,
  leaseKey,
  lostTo,
  misplacedKey,
  readLease,
  readListing,
  type Stored,
} from "../keys.ts";
import {
  type ConditionalWrite,
  type KeyValue,
  type LeaseId,
  LeaseNotFound,
  NO_LEASE,
  type V3Remote,
} from "./remote.ts";
import { type CopyTable, isAsWritten, lookAt } from "../../lease_table.ts";
import { type Listing, type Look, type Lost, StoreUnavailable, type Unreadable } from "../../store.ts";

/** An etcd lease under which a record can be put. */
interface Tenure {
  readonly lease: LeaseId;
  /** Null without a lease. */
  readonly expires: Instant | null;
  /** Granted just now, so that nothing but our put can be under it. */
  readonly fresh: boolean;
}

interface Put {
  readonly key: string;
  readonly value: string;
  /** Null: nothing must stand there. */
  readonly over: KeyValue | null;
}

/** `created` is right for a key that was absent. */
type Written = Pick<Lease, "version" | "created" | "expires">;

/** Leases whose end is asked for at a time. */
const AT_ONCE = 16;

/** Milliseconds to spend on giving back a lease. */
const GIVE_BACK_MS = 2_000;

export class V3Table implements CopyTable {
  readonly #remote: V3Remote;
  readonly #keys: EtcdKeys;
  readonly #clock: Clock;
  /** Seconds. */
  readonly #ttl: number;
  /** Seconds that etcd grants when it is asked for `#ttl`: it has a lower limit. */
  #granted: number;

  /** @param ttl of a lease, milliseconds; etcd counts whole seconds */
  constructor(remote: V3Remote, keys: EtcdKeys, clock: Clock, ttl: number) {
    this.#remote = remote;
    this.#keys = keys;
    this.#clock = clock;
    this.#ttl = Math.ceil(ttl / 1000);
    this.#granted = this.#ttl;
  }

  async list(): Promise<Listing> {
    const { kvs } = await this.#remote.range(this.#keys.records);
    return readListing(this.#keys, kvs.map((kv) => this.#stored(kv)));
  }

  /** What stands at a key; null where it is no record's place. */
  read(kv: KeyValue): Lease | Unreadable | null {
    return readLease(this.#keys, this.#stored(kv));
  }

  /** Under an etcd lease that is known to exist, a record ends one lease time from now at the latest. */
  #stored({ key, value, createRevision, modRevision, lease }: KeyValue): Stored {
    const expires = lease === NO_LEASE ? null : this.#clock.boot() + this.#granted * 1000;
    return { key, value, createRevision, version: formatVersion({ modRevision, lease }), expires };
  }

  async listExact(): Promise<Listing> {
    const { leases, unreadable } = await this.list();
    const exact: Lease[] = [];
    for (let i = 0; i < leases.length; i += AT_ONCE) {
      const part = leases.slice(i, i + AT_ONCE);
      exact.push(
        ...await Promise.all(part.map(async (lease) => ({ ...lease, expires: await this.endOf(lease) }))),
      );
    }
    return { leases: exact, unreadable };
  }

  async find(subnets: Subnets): Promise<Lease | Unreadable | null> {
    const kv = await this.#at(leaseKey(this.#keys, subnets));
    return kv && this.read(kv);
  }

  async look(lease: Lease): Promise<Look> {
    return lookAt(await this.find(lease.subnets), lease);
  }

  async endOf(lease: Lease): Promise<Instant | null> {
    const { lease: id } = parseVersion(lease.version);
    if (id === NO_LEASE) return null;
    const now = this.#clock.boot();
    return now + await this.#remote.leaseTimeToLive(id) * 1000;
  }

  async create(subnets: Subnets, record: LeaseRecord): Promise<Lease | null> {
    return await this.#create(subnets, record, await this.#grant());
  }

  async createUntil(
    subnets: Subnets,
    record: LeaseRecord,
    expires: Instant | null,
  ): Promise<Lease | null> {
    return await this.#create(subnets, record, await this.#grantUntil(expires));
  }

  async #create(subnets: Subnets, record: LeaseRecord, tenure: Tenure): Promise<Lease | null> {
    const write = { key: leaseKey(this.#keys, subnets), value: encodeRecord(record), over: null };
    const written = await this.#write(write, tenure);
    return "conflict" in written ? null : { subnets, record, ...written };
  }

  async update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost> {
    return await this.#update(lease, record, () => this.#tenure(parseVersion(lease.version).lease));
  }

  async updateUntil(lease: Lease, record: LeaseRecord, expires: Instant | null): Promise<Lease | Lost> {
    return await this.#update(lease, record, () => this.#grantUntil(expires));
  }

  async #update(lease: Lease, record: LeaseRecord, tenure: () => Promise<Tenure>): Promise<Lease | Lost> {
    const key = leaseKey(this.#keys, lease.subnets);
    const over = await this.#at(key);
    if (over === null || !isAsWritten(this.read(over), lease)) return this.#lost(over);
    const written = await this.#write({ key, value: encodeRecord(record), over }, await tenure());
    if ("conflict" in written) return this.#lost(written.conflict);
    return { subnets: lease.subnets, record, ...written, created: lease.created };
  }

  /** Reads, then keeps the etcd lease alive: it can neither bring back a record nor overwrite another's. */
  async renew(lease: Lease): Promise<Lease | Lost> {
    const key = leaseKey(this.#keys, lease.subnets);
    const kv = await this.#at(key);
    if (kv === null || !isAsWritten(this.read(kv), lease)) return this.#lost(kv);
    const { subnets, record } = lease;
    const now = { subnets, record, created: kv.createRevision };
    const tenure = await this.#tenure(kv.lease);
    if (!tenure.fresh) return { ...now, version: formatVersion(kv), expires: tenure.expires };
    const written = await this.#write({ key, value: kv.value, over: kv }, tenure);
    return "conflict" in written
      ? this.#lost(written.conflict)
      : { ...now, ...written, created: now.created };
  }

  async remove(lease: Lease): Promise<void> {
    const over = await this.#at(leaseKey(this.#keys, lease.subnets));
    if (over === null || !isAsWritten(this.read(over), lease)) return;
    await this.#remote.write({ key: over.key, ...standing(over), put: null });
  }

  async discard({ key, misplaced }: Unreadable): Promise<void> {
    if (misplaced === undefined) return;
    const { modRevision: expect } = parseVersion(misplaced.version);
    await this.#remote.write({ key: misplacedKey(this.#keys, key), expect, put: null });
  }

  async #at(key: string): Promise<KeyValue | null> {
    return (await this.#remote.range({ key, end: null })).kvs[0] ?? null;
  }

  /** Puts a value where the key is as expected; else tells what stands there, and gives back a lease granted in vain. */
  async #write(
    { key, value, over }: Put,
    tenure: Tenure,
  ): Promise<Written | { conflict: KeyValue | null }> {
    try {
      const put = { value, lease: tenure.lease };
      const { succeeded, header, current } = await this.#remote.write({ key, ...standing(over), put });
      const { expires, lease } = tenure;
      if (succeeded) {
        return {
          version: formatVersion({ modRevision: header.revision, lease }),
          created: header.revision,
          expires,
        };
      }
      if (current?.value === value && current.lease === lease) {
        return { version: formatVersion(current), created: current.createRevision, expires };
      }
      await this.#giveBack(tenure);
      return { conflict: current };
    } catch (thrown) {
      await this.#giveBack(tenure);
      if (thrown instanceof LeaseNotFound) {
        throw new StoreUnavailable(`write "${key}" in etcd: ${thrown.message}`);
      }
      throw thrown;
    }
  }

  /** An etcd lease that lasts from now on: this one where it does, else a new one. */
  async #tenure(lease: LeaseId): Promise<Tenure> {
    if (lease === NO_LEASE) return { lease, expires: null, fresh: false };
    const now = this.#clock.boot();
    const ttl = await this.#remote.keepLeaseAlive(lease);
    return ttl === this.#granted ? { lease, expires: now + ttl * 1000, fresh: false } : await this.#grant();
  }

  async #grant(): Promise<Tenure> {
    const now = this.#clock.boot();
    const { id, ttl } = await this.#remote.grantLease(this.#ttl);
    this.#granted = ttl;
    return { lease: id, expires: now + ttl * 1000, fresh: true };
  }

  async #grantUntil(expires: Instant | null): Promise<Tenure> {
    if (expires === null) return { lease: NO_LEASE, expires, fresh: false };
    const now = this.#clock.boot();
    const { id, ttl } = await this.#remote.grantLease(Math.max(1, Math.floor((expires - now) / 1000)));
    return { lease: id, expires: now + ttl * 1000, fresh: true };
  }

  /** Best effort: a lease that stays behind ends by itself. */
  async #giveBack({ fresh, lease }: Tenure): Promise<void> {
    if (!fresh) return;
    await deadline(this.#clock, GIVE_BACK_MS, undefined, (over) => this.#remote.revokeLease(lease, over))
      .catch(() => {});
  }

  #lost(kv: KeyValue | null): Lost {
    return lostTo(this.#keys, kv && this.#stored(kv));
  }
}

/** The condition of a write over this. */
function standing(over: KeyValue | null): Pick<ConditionalWrite, "expect" | "expectValue"> {
  return over === null ? { expect: 0 } : { expect: over.modRevision, expectValue: over.value };
}

/** A version is where the key stood and under which etcd lease: `1042/7587862094876521`. */
function formatVersion({ modRevision, lease }: Pick<KeyValue, "modRevision" | "lease">): Version {
  return `${modRevision}/${lease}`;
}

function parseVersion(version: Version): { readonly modRevision: number; readonly lease: LeaseId } {
  const [modRevision = "", lease = NO_LEASE] = version.split("/");
  return { modRevision: Number(modRevision), lease };
}
