/**
 * Routes by way of nexthop objects, where one device has many: the kernel compares a new IPv4 route with all others that it
 * might share its way with, which are all of the device (5,000 cost a quarter of a second, 10,000 more than one). Nexthop
 * objects are looked up by their id, and so are the ways of their routes. IPv6 has no such trouble and stays as it is.
 *
 * Pure and without memory: whether a device is beyond the threshold already is seen from what stands, so a restart goes on
 * as before. What is not ours is left alone: an id that another has is passed over, and a route in whose place another's
 * stands, or one that only looks like ours, is wanted as upstream would write it.
 */
import { remembered } from "../model/memo.ts";
import { nexthopIds } from "../model/nexthop_id.ts";
import { nexthop, type Obj, type ObjectOf, viaNexthop } from "../model/objects.ts";
import type { Observed } from "../model/plan.ts";

/** With more gatewayed routes a device gets nexthop objects … */
export const MANY = 500;
/** … and keeps them until it has fewer. */
export const FEW = 400;

/**
 * What to want instead of `objects`, given what stands: the very same list as long as both are the same in what matters.
 *
 * @param instance names us among the daemons of this machine
 */
export function throughNexthops(
  objects: readonly Obj[],
  observed: readonly Observed[],
  instance: string,
): readonly Obj[] {
  return transformed(objects, instance, JSON.stringify(circumstances(observed)));
}

/** What matters of what stands; but for our own devices' names nearly always empty. */
interface Circumstances {
  /** Devices that have nexthop objects of ours. */
  readonly already: readonly string[];
  /** Ids of objects that are another's. */
  readonly taken: readonly number[];
  /** Keys of routes in whose place another's stand, or one that looks like ours. */
  readonly held: readonly string[];
}

function circumstances(observed: readonly Observed[]): Circumstances {
  const already = new Set<string>();
  const taken: number[] = [];
  const held: string[] = [];
  for (const { kind, key, on, standing, fields } of observed) {
    if (kind === "nexthop" && standing === "ours") already.add(on!);
    else if (kind === "nexthop") taken.push(fields.id);
    else if (kind === "route" && (standing === "foreign" || standing === "lookalike")) held.push(key);
  }
  return { already: [...already], taken, held };
}

const transformed = remembered((objects: readonly Obj[], instance: string, text: string): readonly Obj[] => {
  const given = JSON.parse(text) as Circumstances;
  const crowded = crowdedDevices(objects, given);
  if (crowded.size === 0) return objects;
  const held = new Set(given.held);
  const owners = new Map(given.taken.map((id) => [id, "another"]));
  const made = new Set<number>();
  return objects.flatMap((object) => {
    if (!isGatewayed(object) || !crowded.has(object.on!) || held.has(object.key)) return object;
    const { way, ids } = choices(object, instance);
    const id = ids.find((id) => (owners.get(id) ?? way) === way);
    if (id === undefined) return object;
    owners.set(id, way);
    const [hop, route] = pair(object, id);
    if (made.has(id)) return route;
    made.add(id);
    return [hop, route];
  });
});

function crowdedDevices(objects: readonly Obj[], { already }: Circumstances): Set<string> {
  const counts = new Map<string, number>();
  for (const object of objects) {
    if (isGatewayed(object)) counts.set(object.on!, (counts.get(object.on!) ?? 0) + 1);
  }
  const crowded = [...counts].filter(([device, count]) =>
    count > MANY || count >= FEW && already.includes(device)
  );
  return new Set(crowded.map(([device]) => device));
}

/** True for an IPv4 route through a gateway. */
function isGatewayed(object: Obj): object is ObjectOf<"route"> {
  return object.kind === "route" && object.on !== undefined && object.fields.gateway?.includes(":") === false;
}

const choices = remembered(({ fields: { device, gateway } }: ObjectOf<"route">, instance: string) => ({
  way: `${device} ${gateway}`,
  ids: nexthopIds(instance, String(device), String(gateway)),
}));

type Pair = readonly [hop: ObjectOf<"nexthop">, route: ObjectOf<"route">];

/** The nexthop object and the route by way of it: the very same ones as long as the id is. */
function pair(plain: ObjectOf<"route">, id: number): Pair {
  const known = pairs.get(plain);
  if (known?.[0].fields.id === id) return known;
  const { gateway, device, onlink } = plain.fields;
  const spec = { gateway: gateway!, device: device!, onlink };
  const made = [nexthop(id, spec), viaNexthop(plain, id)] as const;
  pairs.set(plain, made);
  return made;
}

const pairs = new WeakMap<Obj, Pair>();
