/** The operations of a round, peer by peer: what a peer needs are several objects, what people want to know is one line. Pure. */
import { describeSubnets, type Lease } from "../model/lease.ts";
import { idOf, type Obj, type ObjectId } from "../model/objects.ts";
import { describePeer } from "../plan/describe.ts";
import { addressIn, peerFinder, subnetServed } from "../plan/peer_objects.ts";

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

/** Who is who among the peers. */
export interface PeerNames {
  /** A peer that wants the object. */
  peerOf(id: ObjectId): Lease | undefined;
  /** The peer whose subnet begins at this address, as text. */
  peerAt(address: string): Lease | undefined;
  /** The same of a peer that is gone from the store. */
  goneFrom(address: string): Lease | undefined;
}

/**
 * What says of an object whom it serves.
 *
 * @param objects what the round is about, what stood before included; of two that contradict each other the later counts
 * @param userOf a route that goes by a nexthop object
 */
export function subjectFinder(
  objects: Iterable<Obj>,
  names: PeerNames,
  userOf: (nexthop: number) => ObjectId | undefined,
): (object: Obj) => Subject {
  const find = peerFinder(objects);
  return (object) => {
    const id = idOf(object);
    const route = object.kind === "nexthop" ? userOf(object.fields.id) : undefined;
    const claimant = names.peerOf(route ?? id);
    if (claimant !== undefined && subnetServed(object) === null) return known(claimant);
    const address = find(object) ?? (route === undefined ? null : addressIn(route.slice("route ".length)));
    if (address === null) return { id, name: id, known: null };
    const lease = names.peerAt(address);
    if (lease !== undefined) return known(lease);
    const gone = names.goneFrom(address);
    if (gone !== undefined) {
      return { id: describeSubnets(gone.subnets), name: describePeer(gone), known: false, lease: gone };
    }
    return { id: address, name: `peer ${subnetServed(object) ?? address}`, known: false };
  };
}

function known(lease: Lease): Subject {
  return { id: describeSubnets(lease.subnets), name: describePeer(lease), known: true, lease };
}
