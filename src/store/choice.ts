/**
 * Which subnet a host takes, as a pure function of the store's records and of what the host claims: for `acquire`, which then
 * writes, and for previews, which don't.
 */
import { chooseSubnets, compatible, conflicting, type Exhausted } from "../model/allocate.ts";
import type { Random } from "../model/clock.ts";
import { type Standing, take, type Taking } from "../model/identity.ts";
import { sameIp } from "../model/ip.ts";
import { isJsonObject, type Json, member } from "../model/json.ts";
import { type Lease, type LeaseRecord, sameSubnets, type Subnets } from "../model/lease.ts";
import type { Claim, Listing, Unreadable } from "./store.ts";

/** A record as the rules look at it, with the lease that it is. */
export interface Candidate extends Standing {
  readonly lease: Lease;
}

/** What there is for us: what becomes of each record. */
export interface Standings {
  /** How a subnet is to be had. */
  readonly taking: Taking<Candidate>;
  /** Records of ours that do not fit, or give way to another host's: removed first. */
  readonly unfit: readonly Lease[];
  /** Records without a mark at our address beside the one that counts. */
  readonly duplicates: readonly Lease[];
}

export function standings(listing: Listing, claim: Claim): Standings {
  const { host } = claim.self;
  const open = listing.leases.map((lease) => candidate(lease, claim)).filter(({ lease, mark }) =>
    mark?.host === host || !claim.self.passed.some((subnets) => sameSubnets(subnets, lease.subnets))
  );
  // What is neither ours nor at our address is nobody's business here.
  const near = open.filter((each) => isMine(each, claim) || each.atOurAddress);
  const fits = ({ lease }: Candidate) =>
    compatible(lease.subnets, claim.config) && !beaten(lease, listing.leases);
  const fitting = near.filter(fits);
  const taking = take(fitting, claim.self);
  const counts = taking.way === "own" || taking.way === "unmarked" ? taking.over : null;
  const older = ({ created }: Candidate) => counts === null || created < counts.created;
  // Of several records with one id other hosts take the youngest for the one that counts.
  const isInTheWay = (each: Candidate) => older(each) || each.mark?.host === host;
  return {
    taking,
    unfit: near.filter((each) => isMine(each, claim) && !fitting.includes(each) && isInTheWay(each))
      .map(({ lease }) => lease),
    duplicates: counts?.mark === null
      ? near.filter((each) => each.mark === null && each !== counts && !older(each)).map(({ lease }) => lease)
      : [],
  };
}

function candidate(lease: Lease, claim: Claim): Candidate {
  const { record, created, expires } = lease;
  return {
    lease,
    mark: record.mark ?? null,
    atOurAddress: sameAddress(record, claim.record),
    wasOurs: wasOurs(lease, claim),
    reserved: expires === null,
    created,
  };
}

/** Ours without a trial: by our id, or without any by its address or by what our device is. */
function isMine({ mark, atOurAddress, wasOurs }: Candidate, { self: { host } }: Claim): boolean {
  return mark === null ? atOurAddress || wasOurs : mark.host === host || mark.after === host;
}

/** True where another host's older record overlaps this one: the older wins. */
export function beaten(lease: Lease, all: readonly Lease[]): boolean {
  return all.some((other) => beats(other, lease));
}

/** True where `other` is an older record of another host that overlaps `lease`. */
export function beats(other: Lease, lease: Lease): boolean {
  return other.created < lease.created && !sameHost(other.record, lease.record) &&
    conflicting(other.subnets, lease.subnets);
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

/** One host: by its id, or where one of the records has none by its address. */
export function sameHost(a: LeaseRecord, b: LeaseRecord): boolean {
  return a.mark && b.mark ? a.mark.host === b.mark.host : sameAddress(a, b);
}

/**
 * One public IPv4 address, or IPv6 where one of the records has no other: a host that gives IPv4 up, or takes it up, stays where
 * it is.
 */
export function sameAddress(a: LeaseRecord, b: LeaseRecord): boolean {
  if (a.publicIp !== null && b.publicIp !== null) return sameIp(a.publicIp, b.publicIp);
  return a.publicIpv6 !== null && sameIp(a.publicIpv6, b.publicIpv6);
}

export function isOurs(lease: Lease, claim: Claim): boolean {
  return isMine(candidate(lease, claim), claim);
}

/** A record of ours where it is not read. */
export function isStray({ misplaced }: Unreadable, claim: Claim): boolean {
  return misplaced !== undefined && isOurs(misplaced, claim);
}

/**
 * Our record from before our address changed while nobody was looking, and from before it had a mark: the subnet that we had, and
 * the tunnel address that our device has. Left alone it would keep that tunnel address from us on every host, until it runs out.
 */
function wasOurs({ subnets, record }: Lease, { record: ours, previous }: Claim): boolean {
  return sameTunnelAddress(record, ours) && sameSubnets(subnets, previous);
}

/** True where both records tell of a tunnel device with one MAC. */
export function sameTunnelAddress(a: LeaseRecord, b: LeaseRecord): boolean {
  const mac = tunnelAddress(a);
  return mac !== undefined && mac === tunnelAddress(b);
}

function tunnelAddress({ backendData, backendV6Data }: LeaseRecord): Json | undefined {
  const data = backendData ?? backendV6Data;
  return isJsonObject(data) ? member(data, "VtepMAC") : undefined;
}

export interface Taken {
  readonly subnets: Subnets;
  /**
   * `held`: there is a record of ours already; `trial`: another host's at our address, which is taken if nobody objects;
   * `previous`: the subnets of before; `free`: one of the free ones.
   */
  readonly origin: "held" | "trial" | "previous" | "free";
}

/** Where `acquire` would come to if nobody else wrote meanwhile; a free subnet is only an example. */
export function wouldTake(listing: Listing, claim: Claim, random: Random): Taken | Exhausted {
  const { taking, unfit } = standings(listing, claim);
  if (taking.way !== "free") {
    return { subnets: taking.over.lease.subnets, origin: taking.way === "trial" ? "trial" : "held" };
  }
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
