/**
 * What the store has told us: every lease by its subnets, and what could not be read.
 *
 * Invariants: nothing is in sync before the first whole snapshot. A record that has become unreadable keeps its last good
 * state, and the subnets it names stay protected from pruning even where no good state is known. Our own lease is here
 * like any other; who we are is decided by whoever asks.
 */
import { describeSubnets, type Lease, type Subnets } from "../model/lease.ts";
import type { Listing, StoreEvent, Unreadable } from "../store/store.ts";

export class LeaseView {
  #leases = new Map<string, Lease>();
  /** Oldest first; null while it has to be made anew. */
  #sorted: readonly Lease[] | null = null;
  #unreadable = new Map<string, Unreadable>();
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

  /** Oldest first: of two claims to one thing the earlier counts. The very same array while nothing has changed. */
  leases(): readonly Lease[] {
    return this.#sorted ??= [...this.#leases.values()].sort((a, b) => a.created - b.created);
  }

  unreadable(): Unreadable[] {
    return [...this.#unreadable.values()];
  }

  get(subnets: Subnets): Lease | undefined {
    return this.#leases.get(describeSubnets(subnets));
  }

  /** Takes an event in; true where it can change what should stand. */
  take(event: StoreEvent): boolean {
    this.#sorted = null;
    switch (event.type) {
      case "snapshot":
        this.#replace(event);
        return true;
      case "put":
        this.#put(event.lease);
        return true;
      case "delete":
        this.#unreadable.delete(describeSubnets(event.subnets));
        return this.#leases.delete(describeSubnets(event.subnets));
      case "unreadable":
        this.#unreadable.set(nameOf(event.unreadable), event.unreadable);
        return false;
      case "outage":
        this.#outage = event.error;
        return false;
      case "recovered":
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

  #put(lease: Lease): void {
    const key = describeSubnets(lease.subnets);
    this.#unreadable.delete(key);
    this.#leases.set(key, lease);
  }

  #replace(listing: Listing): void {
    const old = this.#leases;
    this.#leases = new Map();
    this.#unreadable = new Map();
    for (const lease of listing.leases) this.#put(lease);
    for (const unreadable of listing.unreadable) {
      const key = nameOf(unreadable);
      this.#unreadable.set(key, unreadable);
      const lastGood = old.get(key);
      if (lastGood) this.#leases.set(key, lastGood);
    }
    this.#inSync = true;
    this.#outage = null;
  }
}

function nameOf(unreadable: Unreadable): string {
  return unreadable.subnets ? describeSubnets(unreadable.subnets) : unreadable.key;
}
