/**
 * Which subnet a host takes, as a pure function of the store's records and of what the host claims: for `acquire`, which then
 * writes, and for previews, which don't.
 */
import { chooseSubnets, compatible, conflicting, type Exhausted } from "../model/allocate.ts";
import type { Random } from "../model/clock.ts";
import { sameIp } from "../model/ip.ts";
import { isJsonObject, type Json, member } from "../model/json.ts";
import { type Lease, type LeaseRecord, sameSubnets, type Subnets } from "../model/lease.ts";
import type { Claim, Listing, Unreadable } from "./store.ts";

/** Our records: what becomes of each. */
export interface OwnRecords {
  /** The one that counts; null where none does. */
  readonly kept: Lease | null;
  /** Older ones than that, or all: they do not fit, or give way to another host's. */
  readonly unfit: readonly Lease[];
  /** Younger ones than that. */
  readonly duplicates: readonly Lease[];
}

export function ownRecords(listing: Listing, claim: Claim): OwnRecords {
  const own = listing.leases.filter((lease) => isOurs(lease, claim)).sort((a, b) => a.created - b.created);
  const fits = (lease: Lease) => compatible(lease.subnets, claim.config) && !beaten(lease, listing.leases);
  const first = own.findIndex(fits);
  if (first < 0) return { kept: null, unfit: own, duplicates: [] };
  return { kept: own[first]!, unfit: own.slice(0, first), duplicates: own.slice(first + 1) };
}

/** True where another host's older record overlaps this one: the older wins. */
export function beaten(lease: Lease, all: readonly Lease[]): boolean {
  return all.some((other) =>
    other.created < lease.created && !sameHost(other.record, lease.record) &&
    conflicting(other.subnets, lease.subnets)
  );
}

/** What we would like to keep: the subnets of subnet.env, or else of the record that we had to remove. */
export function preference(claim: Claim, removed: readonly Lease[]): Subnets {
  const old = removed[0]?.subnets;
  return { v4: claim.previous.v4 ?? old?.v4 ?? null, v6: claim.previous.v6 ?? old?.v6 ?? null };
}

/** Subnets that nobody has. A record that can't be read still holds its key: its owner may only be newer than we are. */
export function chooseNew(
  { config, occupied, wasHeld }: Claim,
  preferred: Subnets,
  view: Listing,
  random: Random,
): Subnets | Exhausted {
  const taken = [...view.leases, ...view.unreadable].flatMap((each) => held(each) ?? []);
  return chooseSubnets(config, taken, random, { preferred, occupied, anyway: wasHeld });
}

/** What a record holds, whether it can be read or not. */
export function held(each: Lease | Unreadable): Subnets | null {
  return each.subnets ?? ("misplaced" in each ? each.misplaced?.subnets ?? null : null);
}

/**
 * A host is known by its public IPv4 address, or by the IPv6 one where one of the records has no other: a host that gives
 * IPv4 up, or takes it up, stays the same.
 */
export function sameHost(a: LeaseRecord, b: LeaseRecord): boolean {
  if (a.publicIp !== null && b.publicIp !== null) return sameIp(a.publicIp, b.publicIp);
  return a.publicIpv6 !== null && sameIp(a.publicIpv6, b.publicIpv6);
}

export function isOurs(lease: Lease, claim: Claim): boolean {
  return sameHost(lease.record, claim.record) || wasOurs(lease, claim);
}

/** A record of ours where it is not read. */
export function isStray({ misplaced }: Unreadable, claim: Claim): boolean {
  return misplaced !== undefined && isOurs(misplaced, claim);
}

/**
 * Our record from before our address changed while nobody was looking: the subnet that we had, and the tunnel address that
 * our device has. Left alone it would keep that tunnel address from us on every host, until it runs out.
 */
function wasOurs({ subnets, record }: Lease, { record: ours, previous }: Claim): boolean {
  const mac = tunnelAddress(ours);
  return mac !== undefined && mac === tunnelAddress(record) && sameSubnets(subnets, previous);
}

function tunnelAddress({ backendData, backendV6Data }: LeaseRecord): Json | undefined {
  const data = backendData ?? backendV6Data;
  return isJsonObject(data) ? member(data, "VtepMAC") : undefined;
}

export interface Taken {
  readonly subnets: Subnets;
  /** `held`: there is a record already; `previous`: the subnets of before; `free`: one of the free ones. */
  readonly origin: "held" | "previous" | "free";
}

/** Where `acquire` would come to if nobody else wrote meanwhile; a free subnet is only an example. */
export function wouldTake(listing: Listing, claim: Claim, random: Random): Taken | Exhausted {
  const { kept, unfit } = ownRecords(listing, claim);
  if (kept !== null) return { subnets: kept.subnets, origin: "held" };
  const strays = listing.unreadable.filter((each) => isStray(each, claim));
  const view = {
    leases: listing.leases.filter((lease) => !unfit.includes(lease)),
    unreadable: listing.unreadable.filter((each) => !strays.includes(each)),
  };
  const preferred = preference(claim, [...unfit, ...strays.flatMap(({ misplaced }) => misplaced ?? [])]);
  const subnets = chooseNew(claim, preferred, view, random);
  if ("exhausted" in subnets) return subnets;
  return { subnets, origin: sameSubnets(subnets, preferred) ? "previous" : "free" };
}
