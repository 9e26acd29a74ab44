/**
 * The contract of a store: who owns which subnet.
 *
 * A store is etcd, SQLite, Kubernetes or memory. It is asked to keep one lease alive for this host and to tell of all.
 * - Every write is conditional: on absence (`acquire`, `create`), or on what was seen last (`publish`, `renew`, `release`). A
 *   store never overwrites a record that has become something else.
 * - Iterables end only when their signal is aborted. They reconnect by themselves, with back-off, and say so with `outage`.
 * - A malformed key or record is an `unreadable` event and nothing else; it never ends an iterable or hides other records.
 * - A snapshot is complete or it is not delivered.
 * - Leases come with `expires` on the clock passed to the store.
 * - Every call rejects with the reason of its signal as soon as that is aborted, whatever the store is waiting for. What was
 *   sent by then may still be done.
 */
import type { Taker } from "../model/identity.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import type { Occupied } from "../model/occupied.ts";
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";

export interface Store extends AsyncDisposable {
  /** For logs, with upstream's wording where there is one: `Etcd Local Manager with Previous Subnet: None`. */
  readonly name: string;
  /** The configuration now and after every change; each distinct problem once, not once a second. */
  watchConfig(signal: AbortSignal): AsyncIterable<ConfigReading>;
  /**
   * Takes a subnet: over a record that is ours by the rules of `model/identity.ts`, or the previous subnet where it is free, else
   * another; retries lost races by itself. Where the record that is returned has `after`, it is on trial.
   *
   * @throws Failure where no subnet is free or the store refuses us (authentication, TLS); the abort reason on abort.
   * While the store is out of reach it keeps trying.
   */
  acquire(claim: Claim, signal: AbortSignal): Promise<Lease>;
  /**
   * What stands at the subnets of `lease` now (linearizable). Rejects with StoreUnavailable where the store is out of reach, as all
   * that follow do.
   */
  look(lease: Lease, signal?: AbortSignal): Promise<Look>;
  /** Writes another record over what stands, where that is `lease`. */
  publish(lease: Lease, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost>;
  /** Writes a record where nothing stands and nobody's subnet overlaps; null where something stands at that very key. */
  create(subnets: Subnets, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost | null>;
  /** Extends our lease where it stands as we wrote it (a reservation: only checks that). */
  renew(lease: Lease, signal?: AbortSignal): Promise<Lease | Lost>;
  /** Gives the subnet back; nothing happens where it is no longer ours. */
  release(lease: Lease, signal?: AbortSignal): Promise<void>;
  /** All leases as of now (linearizable): for the second look before many peers are removed, and for previews. */
  list(signal?: AbortSignal): Promise<Listing>;
  /** Every lease, our own included: a snapshot first, then changes. */
  watch(signal: AbortSignal): AsyncIterable<StoreEvent>;
}

export interface Listing {
  readonly leases: readonly Lease[];
  readonly unreadable: readonly Unreadable[];
}

/** What was found where our record should stand. */
export interface Look {
  readonly found: Lease | Unreadable | null;
  /** It is exactly what we know as ours. */
  readonly asWritten: boolean;
  /** Something of it is missing that a renewal makes again. */
  readonly incomplete?: boolean;
}

/** Who takes a subnet, beside the record. */
export interface Claimant extends Taker {
  readonly run: string;
  /** Subnets that this process has lost or left to others. */
  readonly passed: readonly Subnets[];
}

export interface Claim {
  readonly config: NetworkConfig;
  readonly self: Claimant;
  /** Without a mark: that comes with the taking. */
  readonly record: LeaseRecord;
  /** From the previous subnet.env; `{ v4: null, v6: null }` where there was none. */
  readonly previous: Subnets;
  /** What this host has without us; no subnet in its way is taken, unless it was ours until now. */
  readonly occupied?: readonly Occupied[];
  /** `previous` was ours until just now: containers use it. */
  readonly wasHeld?: boolean;
}

/** Our lease is no longer ours. */
export interface Lost {
  readonly lost: "absent" | "taken";
  /** The record that is there now, where one is. */
  readonly by?: LeaseRecord;
}

export function isLost(result: Lease | Lost): result is Lost {
  return "lost" in result;
}

export type ConfigReading =
  | {
    readonly type: "config";
    readonly config: NetworkConfig;
    readonly text: string;
    /** Members of the text that nobody reads, as written; `Backend`'s own are the backend's to know. */
    readonly unread: readonly string[];
  }
  /**
   * The configuration is absent or wrong, or the store does not answer; `error` says which and what to do. With `refused` the
   * store refuses us (certificate, password): only the user can mend that, a daemon that is starting had better end. `state`
   * where it was read: there is none, or what is there is none.
   */
  | {
    readonly type: "problem";
    readonly error: string;
    readonly refused?: boolean;
    readonly state?: "absent" | "wrong";
  };

export type StoreEvent =
  | {
    readonly type: "snapshot";
    readonly leases: readonly Lease[];
    readonly unreadable: readonly Unreadable[];
    /**
     * The store is not what it was when it told what came before: another cluster, or an older state as after a restore from
     * backup. A lease that is missing may just not be written again yet.
     */
    readonly restored?: boolean;
  }
  | { readonly type: "put"; readonly lease: Lease }
  | { readonly type: "delete"; readonly subnets: Subnets }
  /** A key that named no subnets, told as unreadable before, is gone. */
  | { readonly type: "gone"; readonly key: string }
  | { readonly type: "unreadable"; readonly unreadable: Unreadable }
  /**
   * The store stopped answering, or (`refused`) it refuses us now: its users, a password, a role were changed. What was
   * delivered before stays valid. Told again where the one becomes the other.
   */
  | { readonly type: "outage"; readonly error: string; readonly refused?: boolean }
  | { readonly type: "recovered" }
  /**
   * A short loss of the connection, over already. Nothing was missed; but the store may have been restored from a backup in
   * between, so whoever wrote something had better look whether it is still there.
   */
  | { readonly type: "resumed" };

export interface Unreadable {
  /** As it stands in the store. */
  readonly key: string;
  /** The subnets that the key names, where at least the key could be read: their last good state is protected. */
  readonly subnets: Subnets | null;
  readonly reason: string;
  /** A record of IPv6 alone where those are not read: nobody's peer, but it holds its subnet. */
  readonly misplaced?: Lease;
}

/** An outage in words, without what becomes of it. */
export function describeOutage({ error, refused }: StoreEvent & { readonly type: "outage" }): string {
  return `${refused === true ? "the store refuses us" : "the store is out of reach"}: ${error}`;
}

/** The store is out of reach for now; trying again later is right. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}
