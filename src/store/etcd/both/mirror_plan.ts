/**
 * What has to be mirrored between etcd's two APIs, from what stands in both. Pure; whoever carries it out writes under
 * conditions only.
 *
 *     v2                 v3                   step
 *     record             –                    create a mirror in v3
 *     record             mirror               the mirror follows its record: content and end
 *     –                  mirror               remove the mirror
 *     mirror             mirror               remove both: their origins are gone
 *     record             record               none: one host in both, or two owners (which is reported)
 *     can't be read      anything             none
 *
 * and the same with the sides swapped. A mirror is never mirrored, and none is made where the other side has something
 * that overlaps.
 */
import { type Lease, prefixesOf } from "../../../model/lease.ts";
import { PrefixCover } from "../../../model/prefix_order.ts";
import { type Entries, type Entry, SIDES } from "./view.ts";
import type { SideName } from "../side.ts";
import { mirrorOf } from "./mirror.ts";

export type MirrorStep =
  | { readonly type: "create"; readonly to: SideName; readonly origin: Lease }
  | { readonly type: "follow"; readonly to: SideName; readonly origin: Lease; readonly mirror: Lease }
  | { readonly type: "remove"; readonly at: SideName; readonly mirror: Lease };

export function planMirrors(entries: Readonly<Record<SideName, Entries>>): MirrorStep[] {
  const keys = new Set([...entries.v2.keys(), ...entries.v3.keys()]);
  const taken = { v2: subnetsOf(entries.v2), v3: subnetsOf(entries.v3) };
  return [...keys].flatMap((key) => SIDES.flatMap((to) => stepsTo(to, key, entries, taken[to])));
}

function subnetsOf(entries: Entries): PrefixCover {
  return new PrefixCover(
    entries.values().flatMap(({ subnets }) => subnets === null ? [] : prefixesOf(subnets)),
  );
}

/** What is to be done on one side about one key. */
function stepsTo(
  to: SideName,
  key: string,
  entries: Readonly<Record<SideName, Entries>>,
  taken: PrefixCover,
): MirrorStep[] {
  const origin = recordAt(entries[to === "v2" ? "v3" : "v2"].get(key));
  const there = entries[to].get(key);
  if (origin === "unreadable" || there !== undefined && "reason" in there) return [];
  if (there === undefined) {
    const free = origin !== null && hasPlace(origin, to) &&
      !prefixesOf(origin.subnets).some((subnet) => taken.overlaps(subnet));
    return !free ? [] : [{ type: "create", to, origin }];
  }
  if (mirrorOf(there.record) === null) return [];
  return origin === null
    ? [{ type: "remove", at: to, mirror: there }]
    : [{ type: "follow", to, origin, mirror: there }];
}

/** A record that is its own; null where there is none. */
function recordAt(entry: Entry | undefined): Lease | "unreadable" | null {
  if (entry === undefined) return null;
  if ("reason" in entry) return "unreadable";
  return mirrorOf(entry.record) === null ? entry : null;
}

function hasPlace({ subnets }: Lease, to: SideName): boolean {
  return to === "v3" || subnets.v4 !== null;
}
