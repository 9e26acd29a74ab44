/**
 * What must not be pruned although no lease asks for it: the objects of a peer whose record is unreadable. The record's
 * key still names its subnets, and what points there stays; an FDB entry is tied to a subnet through its neighbour's MAC, a
 * nexthop object through the routes that use it.
 */
import { parseIp } from "../model/ip.ts";
import type { FieldValue } from "../model/objects.ts";
import type { Observed } from "../model/plan.ts";
import { containsIp, containsPrefix, parsePrefix, type Prefix } from "../model/prefix.ts";

/** A predicate over observed objects: true where the object belongs to one of `subnets`. */
export function protectedBy(
  subnets: readonly Prefix[],
  observed: readonly Observed[],
): (object: Observed) => boolean {
  if (subnets.length === 0) return () => false;
  const pointsThere = (object: Observed) => pointsInto(subnets, object);
  const there = observed.filter(pointsThere);
  const macs = new Set<FieldValue>(there.flatMap((o) => o.kind === "neighbour" ? o.fields.mac ?? null : []));
  const nexthops = new Set<FieldValue>(
    there.flatMap((o) => o.kind === "route" ? o.fields.nexthop ?? [] : []),
  );
  return (object) => {
    if (object.kind === "fdb") return macs.has(object.fields.mac ?? null);
    if (object.kind === "nexthop") return nexthops.has(object.fields.id ?? null);
    return pointsThere(object);
  };
}

function pointsInto(subnets: readonly Prefix[], { kind, fields }: Observed): boolean {
  if (kind === "neighbour") {
    const address = parseIp(String(fields.address));
    return address !== null && subnets.some((subnet) => containsIp(subnet, address));
  }
  const destination = kind === "route" ? parsePrefix(String(fields.destination)) : null;
  return destination !== null && subnets.some((subnet) => containsPrefix(subnet, destination));
}
