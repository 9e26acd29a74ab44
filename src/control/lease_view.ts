/**
 * What the store has told us: every lease by its subnets, and what could not be read.
 *
 * Invariants: nothing is in sync before the first whole snapshot. A record that has become unreadable keeps its last good
 * state, and the subnets it names stay protected from pruning even where no good state is known; but what it claimed counts
 * less than any record that can be read, because its host may have moved since. Peers that a restored store lacks stay for a
 * while (`missing_peers.ts`). Our own lease is here like any other; who we are is decided by whoever asks.
 */
import type { Instant } from "../model/clock.ts";
import { describeSubnets, type Lease, type Subnets } from "../model/lease.ts";
import { describeOutage, type Listing, type StoreEvent, type Unreadable } from "../store/store.ts";
import { MissingPeers } from "./missing_peers.ts";

export class LeaseView {
  #leases = new Map<string, Lease>();
  /** Oldest first; null while it has to be made anew. */
  #sorted: readonly Lease[] | null = null;
  #unreadable = new Map<string, Unreadable>();
  readonly #missing = new MissingPeers();
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
   * Of two claims to one thing the earlier counts: oldest first, and behind them last good states of what can't be read now
   * and peers that are missing. The very same array while nothing has changed.
   */
  leases(now: Instant): readonly Lease[] {
    if (this.#missing.expire(now)) this.#sorted = null;
    return this.#sorted ??= [...this.#leases]
      .sort(([a, one], [b, other]) => this.#rank(a) - this.#rank(b) || one.created - other.created)
      .map(([, lease]) => lease).concat(this.#missing.leases());
  }

  unreadable(): Unreadable[] {
    return [...this.#unreadable.values()];
  }

  get(subnets: Subnets): Lease | undefined {
    return this.#leases.get(describeSubnets(subnets));
  }

  /** Takes an event in; true where it can change what should stand. */
  take(event: StoreEvent, now: Instant): boolean {
    this.#sorted = null;
    switch (event.type) {
      case "snapshot":
        this.#replace(event, event.restored === true ? now : null);
        return true;
      case "put":
        this.#put(event.lease);
        return true;
      case "delete":
        return this.#delete(describeSubnets(event.subnets));
      case "gone":
        this.#unreadable.delete(event.key);
        return false;
      case "unreadable":
        this.#unreadable.set(nameOf(event.unreadable), event.unreadable);
        return this.#leases.has(nameOf(event.unreadable));
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

  #rank(key: string): number {
    return this.#unreadable.has(key) ? 1 : 0;
  }

  #put(lease: Lease): void {
    const key = describeSubnets(lease.subnets);
    this.#unreadable.delete(key);
    this.#missing.giveWayTo(lease);
    this.#leases.set(key, lease);
  }

  #delete(key: string): boolean {
    this.#unreadable.delete(key);
    const missing = this.#missing.delete(key);
    return this.#leases.delete(key) || missing;
  }

  /** @param restored when the store was found to be a restored one; null where it is the one we knew */
  #replace(listing: Listing, restored: Instant | null): void {
    const old = this.#leases;
    if (restored !== null) this.#missing.keep(old.values(), restored);
    this.#leases = new Map();
    this.#unreadable = new Map();
    for (const lease of listing.leases) this.#put(lease);
    for (const unreadable of listing.unreadable) {
      const key = nameOf(unreadable);
      const lastGood = old.get(key);
      if (lastGood) this.#put(lastGood);
      this.#unreadable.set(key, unreadable);
    }
    this.#inSync = true;
    this.#outage = null;
  }
}

/** By what an unreadable record is known: the subnets that its key names, or else the key. */
function nameOf({ subnets, key }: Unreadable): string {
  return subnets ? describeSubnets(subnets) : key;
}
