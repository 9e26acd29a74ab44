/**
 * A lease that stands in both of etcd's APIs, as one. Pure.
 *
 * Its version is the pair of the halves' versions, `17|1042/7587862094876521`; a half that is absent is empty, and one of v2
 * that never ends is marked: `17!|`. Of two leases the one with a half in v2 counts as older, because everybody who stands in
 * both takes v2 first; the numbers of the two APIs can't be compared.
 */
import type { Lease, Version } from "../model/lease.ts";
import { mirrorOf } from "./mirror.ts";

/** At least one of them is there; two belong to one host. */
export interface Halves {
  readonly v2: Lease | null;
  readonly v3: Lease | null;
}

/** Above all indices of v2. */
const AFTER_V2 = 2 ** 44;

export function joined({ v2, v3 }: Halves): Lease {
  const { subnets, record } = source({ v2, v3 });
  const ends = [v2, v3].flatMap((half) => half?.expires ?? []);
  return {
    subnets,
    record,
    version: `${v2 === null ? "" : v2.version + (v2.expires === null ? "!" : "")}|${v3?.version ?? ""}`,
    created: v2 === null ? AFTER_V2 + v3!.created : v2.created,
    expires: ends.length === 0 ? null : Math.min(...ends),
  };
}

/** A mirror says less than its origin, v2's form less than v3's. */
function source({ v2, v3 }: Halves): Lease {
  if (v2 === null || v3 === null) return (v2 ?? v3)!;
  return mirrorOf(v3.record) !== null && mirrorOf(v2.record) === null ? v2 : v3;
}

/** The halves of a lease that was joined, as their own tables know them. */
export function halvesOf(lease: Lease): Halves {
  const [two = "", three = ""] = lease.version.split("|");
  const reserved = two.endsWith("!");
  return {
    v2: two === "" ? null : half(lease, two.replace("!", ""), reserved),
    v3: three === "" ? null : half(lease, three, lease.expires === null),
  };
}

function half(lease: Lease, version: Version, reserved: boolean): Lease {
  return { ...lease, version, expires: reserved ? null : lease.expires ?? 0 };
}
