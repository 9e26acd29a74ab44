/**
 * A lease that stands in both of etcd's APIs, as one. Pure.
 *
 * It carries its halves, and its version is the pair of theirs: `17|1042/7587862094876521`; a half that is absent is empty. Of
 * two leases the one with a half in v2 counts as older, because everybody who stands in
 * both takes v2 first; the numbers of the two APIs can't be compared.
 */
import type { Lease } from "../../../model/lease.ts";
import { sameRecord } from "../../../model/lease_codec.ts";
import { mirrorOf } from "./mirror.ts";

/** At least one of them is there; two belong to one host. */
export interface Halves {
  readonly v2: Lease | null;
  readonly v3: Lease | null;
}

export interface JoinedLease extends Lease {
  readonly halves: Halves;
}

/** Above all indices of v2. */
const AFTER_V2 = 2 ** 44;

export function joined({ v2, v3 }: Halves): JoinedLease {
  const { subnets, record } = source({ v2, v3 });
  const halves = [v2, v3].filter((half) => half !== null);
  const ends = halves.flatMap(({ expires }) => expires ?? []);
  // A mirror of a reservation is given an end; it lasts as long as its origin all the same.
  const origins = halves.filter((half) => mirrorOf(half.record) === null);
  const isReserved = origins.length > 0 && origins.every(({ expires }) => expires === null);
  return {
    subnets,
    record,
    version: `${v2?.version ?? ""}|${v3?.version ?? ""}`,
    halves: { v2, v3 },
    created: v2 === null ? AFTER_V2 + v3!.created : v2.created,
    expires: isReserved || ends.length === 0 ? null : Math.min(...ends),
  };
}

/** A mirror says less than its origin, v2's form less than v3's. */
function source({ v2, v3 }: Halves): Lease {
  if (v2 === null || v3 === null) return (v2 ?? v3)!;
  return mirrorOf(v3.record) !== null && mirrorOf(v2.record) === null ? v2 : v3;
}

/** True where the host that a lease is of wrote it between the two: what a bridge makes of it in the other API does not count. */
export function isWrittenSince(before: Lease, after: Lease): boolean {
  if (!sameRecord(before.record, after.record)) return true;
  if (!("halves" in before) || !("halves" in after)) return before.version !== after.version;
  const [was, is] = [halvesOf(before), halvesOf(after)];
  return (["v2", "v3"] as const).some((side) => {
    const [one, other] = [was[side], is[side]];
    return one !== null && other !== null && mirrorOf(other.record) === null && one.version !== other.version;
  });
}

/** True where `a` is older in an API in which both hosts have written: whoever stands in that one alone sees the same. */
export function isOlder(a: Lease, b: Lease): boolean {
  if (!("halves" in a) || !("halves" in b)) return a.created < b.created;
  const [one, other] = [halvesOf(a), halvesOf(b)];
  const isOwn = (half: Lease | null) => half !== null && mirrorOf(half.record) === null;
  const side = (["v3", "v2"] as const).find((side) => isOwn(one[side]) && isOwn(other[side]));
  return side === undefined ? a.created < b.created : one[side]!.created < other[side]!.created;
}

/** The halves of a lease that was joined. */
export function halvesOf(lease: Lease): Halves {
  if (!("halves" in lease)) throw new Error("no lease of both APIs");
  return (lease as JoinedLease).halves;
}
