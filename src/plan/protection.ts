/**
 * What must not be pruned although no lease asks for it: the objects of a peer whose record is unreadable. The record's
 * key still names its subnets, and what points there stays; an FDB entry is tied to a subnet through its neighbour's MAC, a
 * nexthop object through the routes that use it.
 */
import { bits, parseIp } from "../model/ip.ts";
import { remembered } from "../model/memo.ts";
import type { Observed } from "../model/plan.ts";
import { PrefixCover } from "../model/prefix_order.ts";
import { parsePrefix, type Prefix, prefix } from "../model/prefix.ts";

/** A predicate over observed objects: true where the object belongs to one of `subnets`. */
export function protectedBy(
  subnets: readonly Prefix[],
  observed: readonly Observed[],
): (object: Observed) => boolean {
  if (subnets.length === 0) return () => false;
  const cover = new PrefixCover(subnets);
  const pointsThere = (object: Observed) => pointsInto(cover, object);
  const there = observed.filter(pointsThere);
  const macs = new Set(there.flatMap((o) => o.kind === "neighbour" ? [o.fields.mac] : []));
  const nexthops = new Set(there.flatMap((o) => o.kind === "route" ? o.fields.nexthop ?? [] : []));
  return (object) => {
    if (object.kind === "fdb") return macs.has(object.fields.mac);
    if (object.kind === "nexthop") return nexthops.has(object.fields.id);
    return pointsThere(object);
  };
}

function pointsInto(cover: PrefixCover, object: Observed): boolean {
  const place = placeOf(object);
  return place !== null && cover.contains(place);
}

/** Where packets go by way of the object: a neighbour's address, a route's destination, the subnet of a tunnel's entry. */
const placeOf = remembered(({ kind, fields }: Observed): Prefix | null => {
  if (kind === "route") return parsePrefix(fields.destination);
  if (kind === "peer") return parsePrefix(fields.subnet);
  const address = kind === "neighbour" ? parseIp(fields.address) : null;
  return address && prefix(address, bits(address.family));
});
