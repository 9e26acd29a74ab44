/**
 * Which peer an object serves, as far as objects themselves tell, whatever the backend. A peer is known here by the network
 * address of its subnet, which no other peer has: a route names it in its destination, an entry of a tunnel in its subnet,
 * a neighbour is it. An FDB entry belongs to the neighbour with its MAC, a nexthop object to the routes that name it.
 */
import type { Obj } from "../model/objects.ts";

/** The subnet that the object leads packets to: a route through a gateway, or a tunnel's entry; null for all else. */
export function subnetServed({ kind, fields }: Obj): string | null {
  if (kind === "peer") return fields.subnet;
  if (kind !== "route" || fields.gateway === null && fields.nexthop === null) return null;
  return fields.destination;
}

/** The network address of `10.1.15.0/24`. */
export function addressIn(subnet: string): string {
  return subnet.slice(0, subnet.indexOf("/"));
}

/** What says of an object which peer it serves, or null. @param objects all that may belong together; the last counts */
export function peerFinder(objects: Iterable<Obj>): (object: Obj) => string | null {
  const byMac = new Map<string, string>();
  const byNexthop = new Map<number, string>();
  for (const object of objects) {
    const { kind, on, fields } = object;
    if (kind === "neighbour") byMac.set(`${on} ${fields.mac}`, fields.address);
    else if (kind === "route" && fields.nexthop !== null) {
      byNexthop.set(fields.nexthop, addressIn(fields.destination));
    }
  }
  return (object) => {
    const { kind, on, fields } = object;
    if (kind === "neighbour") return fields.address;
    if (kind === "fdb") return byMac.get(`${on} ${fields.mac}`) ?? null;
    if (kind === "nexthop") return byNexthop.get(fields.id) ?? null;
    const subnet = subnetServed(object);
    return subnet === null ? null : addressIn(subnet);
  };
}
