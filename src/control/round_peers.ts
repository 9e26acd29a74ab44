/** The operations of a round, peer by peer: what a peer needs are several objects, what people want to know is one line. Pure. */
import { families, formatIp } from "../model/ip.ts";
import { describeSubnets, type Lease, subnetOf } from "../model/lease.ts";
import { remembered } from "../model/memo.ts";
import type { Obj } from "../model/objects.ts";
import { describePeer } from "../plan/describe.ts";
import { peerFinder, subnetServed } from "../plan/peer_objects.ts";

/** Whom an object serves: a peer, or nobody in particular. */
export interface Subject {
  /** The same for all objects of one peer. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** Whether the store knows the peer; null where it is none. */
  readonly known: boolean | null;
  /** The peer's lease, where it is or was known. */
  readonly lease?: Lease;
}

/**
 * What says of an object whom it serves.
 *
 * @param objects all that stand, should stand or are to go; of two that contradict each other the later counts
 * @param peers the store's, as of now
 * @param former as of the round before: they name those that have left
 */
export function subjectFinder(
  objects: Iterable<Obj>,
  peers: readonly Lease[],
  former: readonly Lease[],
): (object: Obj) => Subject {
  const find = peerFinder(objects);
  const [now, before] = [byAddress(peers), byAddress(former)];
  return (object) => {
    const address = find(object);
    if (address === null) {
      const id = `${object.kind} ${object.key}`;
      return { id, name: id, known: null };
    }
    const lease = now.get(address);
    const named = lease ?? before.get(address);
    const known = lease !== undefined;
    if (named) return { id: describeSubnets(named.subnets), name: describePeer(named), known, lease: named };
    const subnet = subnetServed(object);
    return { id: address, name: `peer ${subnet ?? address}`, known };
  };
}

/** By the network address of each subnet. */
const byAddress = remembered((peers: readonly Lease[]): ReadonlyMap<string, Lease> => {
  const found = new Map<string, Lease>();
  for (const lease of peers) {
    for (const family of families) {
      const subnet = subnetOf(lease.subnets, family);
      if (subnet) found.set(formatIp(subnet.ip), lease);
    }
  }
  return found;
});
