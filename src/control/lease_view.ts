/**
 * What the store has told us: every lease by its subnets, and what could not be read.
 *
 * Invariants: nothing is in sync before the first whole snapshot. A record that has become unreadable keeps its last good
 * state, and the subnets it names stay protected from pruning even where no good state is known; but what it claimed counts
 * less than any record that can be read, because its host may have moved since. Peers that a restored store lacks stay for a
 * while (`missing_peers.ts`). While a host has another's subnet on trial it is not there yet, so that the other stays the peer:
 * where it lives, it takes its record back and no packet was lost. Our own lease is here like any other; who we are is decided by whoever asks.
 */
import type { Instant } from "../model/clock.ts";
import { describeSubnets, doubtful, type Lease, type Subnets } from "../model/lease.ts";
import { describeOutage, type Listing, type StoreEvent, type Unreadable } from "../store/store.ts";
import type { Ranked } from "../plan/peer_book.ts";
import { MissingPeers } from "./missing_peers.ts";

/** How long a subnet's former host stays the peer while another has it on trial; a trial takes a quarter of that. */
const TRIAL_KEPT_MS = 60_000;
/** The order of claims: what stands, last good states of what can't be read, peers that a restored store lacks. */
const [STANDS, UNREADABLE, MISSING] = [0, 1, 2];

export class LeaseView {
  #leases = new Map<string, Lease>();
  /** By subnets that are on trial, whose they were, and how long that counts. */
  #tried = new Map<string, { readonly owner: Lease; readonly until: Instant }>();
  #unreadable = new Map<string, Unreadable>();
  /** Subnets of which something may have changed since `takeChanges`. */
  readonly #touched = new Set<string>();
  readonly #missing = new MissingPeers((key) => this.#touched.add(key));
  #inSync = false;
  #outage: string | null = null;

  /** True once a whole snapshot was seen. */
  get inSync(): boolean {
    return this.#inSync;
  }

  /** Why the store does not answer, or null. */
  get outage(): string | null {
    return this.#outage;
  }

  /** How many peers a restored store lacks that are kept for now. */
  get missing(): number {
    return this.#missing.size;
  }

  /**
   * What has changed since this was asked last, by subnets: the lease as it stands now, and in which order it claims what others
   * claim too; null where there is none any more. Of a first call that is all there is.
   */
  takeChanges(now: Instant): [name: string, now: Ranked | null][] {
    this.#missing.expire(now);
    this.#endTrials(now);
    const changes = [...this.#touched].map((key): [string, Ranked | null] => [key, this.#ranked(key)]);
    this.#touched.clear();
    return changes;
  }

  /** All that `takeChanges` has ever told of and that there is. */
  ranked(): [name: string, now: Ranked][] {
    const names = new Set([...this.#peers().keys(), ...this.#absent().map(({ key }) => key)]);
    return [...names].flatMap((name) => {
      const now = this.#ranked(name);
      return now === null ? [] : [[name, now] as [string, Ranked]];
    });
  }

  /** What stands in the store as it was told last, without what only stood there before. */
  standing(): Lease[] {
    return [...this.#leases].filter(([key]) => !this.#unreadable.has(key)).map(([, lease]) => lease);
  }

  unreadable(): Unreadable[] {
    return [...this.#unreadable.values()];
  }

  get(subnets: Subnets): Lease | undefined {
    return this.#leases.get(describeSubnets(subnets));
  }

  /** Takes an event in; true where it can change what should stand. */
  take(event: StoreEvent, now: Instant): boolean {
    switch (event.type) {
      case "snapshot":
        this.#replace(event, now);
        return true;
      case "put":
        this.#put(event.lease, this.#peer(describeSubnets(event.lease.subnets)), now);
        return true;
      case "delete":
        return this.#delete(describeSubnets(event.subnets));
      case "gone":
        this.#unreadable.delete(event.key);
        return false;
      case "unreadable":
        return this.#spoil(event.unreadable);
      case "outage":
        this.#outage = describeOutage(event);
        return false;
      case "recovered":
      case "resumed":
        this.#outage = null;
        return false;
    }
  }

  /** True where a second listing tells of the same subnets as this view. */
  agreesWith(listing: Listing): boolean {
    const theirs = new Set(listing.leases.map((lease) => describeSubnets(lease.subnets)));
    for (const unreadable of listing.unreadable) theirs.add(nameOf(unreadable));
    const ours = [...this.#leases.keys()];
    return ours.length <= theirs.size && ours.every((key) => theirs.has(key)) &&
      [...theirs].every((key) => this.#leases.has(key) || this.#unreadable.has(key));
  }

  #ranked(key: string): Ranked | null {
    const lease = this.#peer(key);
    if (lease !== undefined) return { lease, rank: this.#rank(key) };
    const missing = this.#missing.get(key);
    return missing === undefined ? null : { lease: missing, rank: MISSING };
  }

  #rank(key: string): number {
    return this.#unreadable.has(key) ? UNREADABLE : STANDS;
  }

  #absent(): { key: string; lease: Lease; rank: number }[] {
    return this.#missing.leases().map((lease) => ({
      key: describeSubnets(lease.subnets),
      lease,
      rank: MISSING,
    }));
  }

  #peers(): ReadonlyMap<string, Lease> {
    if (this.#tried.size === 0) return this.#leases;
    const owners = [...this.#tried].map(([key, { owner }]) => [key, owner] as const);
    return new Map([...this.#leases, ...owners]);
  }

  #peer(key: string): Lease | undefined {
    return this.#tried.get(key)?.owner ?? this.#leases.get(key);
  }

  /** A host that died on trial leaves its record as it is. */
  #endTrials(now: Instant): void {
    const over = [...this.#tried].filter(([, { until }]) => until <= now);
    for (const [key] of over) {
      this.#tried.delete(key);
      this.#touched.add(key);
    }
  }

  /** @param before the peer at these subnets so far */
  #put(lease: Lease, before: Lease | undefined, now: Instant): void {
    const key = describeSubnets(lease.subnets);
    this.#touched.add(key);
    const until = this.#tried.get(key)?.until ?? now + TRIAL_KEPT_MS;
    if (before && isTrialOf(lease, before)) this.#tried.set(key, { owner: before, until });
    else this.#tried.delete(key);
    this.#unreadable.delete(key);
    this.#missing.giveWayTo(lease);
    this.#leases.set(key, lease);
  }

  /** Keeps the last good state; false where there is none. */
  #spoil(unreadable: Unreadable): boolean {
    const key = nameOf(unreadable);
    this.#touched.add(key);
    const lastGood = this.#leases.get(key);
    if (lastGood) this.#leases.set(key, doubtful(lastGood));
    this.#unreadable.set(key, unreadable);
    return lastGood !== undefined;
  }

  #delete(key: string): boolean {
    this.#touched.add(key);
    this.#unreadable.delete(key);
    this.#tried.delete(key);
    const missing = this.#missing.delete(key);
    return this.#leases.delete(key) || missing;
  }

  #replace(listing: StoreEvent & { readonly type: "snapshot" }, now: Instant): void {
    const old = this.#peers();
    for (const key of old.keys()) this.#touched.add(key);
    if (listing.restored === true) this.#missing.keep(old.values(), now);
    this.#leases = new Map();
    this.#unreadable = new Map();
    for (const lease of listing.leases) this.#put(lease, old.get(describeSubnets(lease.subnets)), now);
    for (const unreadable of listing.unreadable) {
      const key = nameOf(unreadable);
      const lastGood = old.get(key);
      if (lastGood) this.#put(doubtful(lastGood), undefined, now);
      this.#unreadable.set(key, unreadable);
    }
    for (const key of this.#tried.keys()) if (!this.#leases.has(key)) this.#tried.delete(key);
    this.#inSync = true;
    this.#outage = null;
  }
}

/** True where `lease` has the subnet of `owner` on trial. */
function isTrialOf({ record: { mark } }: Lease, owner: Lease): boolean {
  return mark !== undefined && mark.after !== null && mark.after === owner.record.mark?.host;
}

/** By what an unreadable record is known: the subnets that its key names, or else the key. */
function nameOf({ subnets, key }: Unreadable): string {
  return subnets ? describeSubnets(subnets) : key;
}
