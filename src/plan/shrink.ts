/** How many peers a plan takes away, in each family: whether that is too many at once, `control/shrink_guard.ts` says. Pure. */
import type { Family } from "../model/ip.ts";
import type { Obj } from "../model/objects.ts";
import type { Observed, Plan } from "../model/plan.ts";
import { addressIn, peerFinder } from "./peer_objects.ts";

export interface Loss {
  /** Peers that have anything here before the plan. */
  readonly before: number;
  /** Of them those that have nothing after it. */
  readonly lost: number;
}

export type Losses = Readonly<Record<Family, Loss>>;

const noLosses: Losses = { 4: { before: 0, lost: 0 }, 6: { before: 0, lost: 0 } };

/**
 * A peer counts whatever its objects are, and as long as it keeps one of them or gets another.
 *
 * @param observed what the plan was made from
 */
export function lossesOf({ operations }: Plan, observed: readonly Observed[]): Losses {
  const going = new Set(operations.flatMap((o) => o.verb === "delete" ? o.object : []));
  if (going.size === 0) return noLosses;
  const devices = new Set([...going].flatMap(({ kind, key }) => kind === "link" ? key : []));
  const stays = (object: Obj) => !going.has(object) && (object.on === undefined || !devices.has(object.on));
  const made = operations.flatMap((o) => o.verb === "delete" ? [] : o.object);
  const stood = observed.filter(({ standing }) => standing === "ours" || standing === "adoptable");
  const [before, after] = [peersOf(stood), peersOf([...stood.filter(stays), ...made])];
  const of = (family: Family): Loss => {
    const peers = [...before].filter((address) => address.includes(":") === (family === 6));
    return { before: peers.length, lost: peers.filter((address) => !after.has(address)).length };
  };
  return { 4: of(4), 6: of(6) };
}

/** The same at most, without a look at what stays. @param peers how many there are at least */
export function mostLosses({ operations }: Plan, peers: (family: Family) => number): Losses {
  const addresses = { 4: new Set<string>(), 6: new Set<string>() };
  let others = 0;
  for (const { verb, object } of operations) {
    if (verb !== "delete") continue;
    const address = addressOf(object);
    if (address === null) others++;
    else addresses[address.includes(":") ? 6 : 4].add(address);
  }
  // A peer that goes takes what names no peer along: one each; more than that may be of peers that have nothing else.
  const alone = Math.max(0, others - addresses[4].size - addresses[6].size);
  const of = (family: Family): Loss => ({ before: peers(family), lost: addresses[family].size + alone });
  return { 4: of(4), 6: of(6) };
}

/** The network address of the peer's subnet, where the object names it. */
function addressOf({ kind, fields }: Obj): string | null {
  if (kind === "route") return addressIn(fields.destination);
  if (kind === "peer") return addressIn(fields.subnet);
  return kind === "neighbour" ? fields.address : null;
}

/** An FDB entry is of the peer that has its MAC among these: of a host that moves, another one before than after. */
function peersOf(objects: readonly Obj[]): Set<string> {
  const peerOf = peerFinder(objects);
  return new Set(objects.flatMap((object) => peerOf(object) ?? []));
}
