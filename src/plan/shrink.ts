/** Whether a plan takes most of the network down: of four or more peers fewer than half would stay. */
import { families } from "../model/ip.ts";
import type { Obj } from "../model/objects.ts";
import type { Observed, Plan } from "../model/plan.ts";
import { peerFinder } from "./peer_objects.ts";

const FEWEST = 4;

/**
 * A peer counts whatever its objects are, in each family by itself, and as long as it keeps one of them or gets another.
 *
 * @param observed what the plan was made from
 */
export function shrinks({ operations }: Plan, observed: readonly Observed[]): boolean {
  const going = new Set(operations.flatMap((o) => o.verb === "delete" ? o.object : []));
  const devices = new Set([...going].flatMap(({ kind, key }) => kind === "link" ? key : []));
  // Fewer than half of four stay: three go at least.
  if (going.size < FEWEST - 1 && devices.size === 0) return false;
  const stays = (object: Obj) => !going.has(object) && (object.on === undefined || !devices.has(object.on));
  const made = operations.flatMap((o) => o.verb === "delete" ? [] : o.object);
  const stood = observed.filter(({ standing }) => standing === "ours" || standing === "adoptable");
  const [before, after] = [stood, [...stood.filter(stays), ...made]].map(peersOf) as [
    Set<string>,
    Set<string>,
  ];
  return families.some((family) => {
    const peers = [...before].filter((address) => address.includes(":") === (family === 6));
    const staying = peers.filter((address) => after.has(address)).length;
    return peers.length >= FEWEST && staying < peers.length / 2;
  });
}

/** An FDB entry is of the peer that has its MAC among these: of a host that moves, another one before than after. */
function peersOf(objects: readonly Obj[]): Set<string> {
  const peerOf = peerFinder(objects);
  return new Set(objects.flatMap((object) => peerOf(object) ?? []));
}
