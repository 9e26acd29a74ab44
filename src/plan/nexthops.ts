/**
 * Routes by way of nexthop objects, where one device has many: the kernel compares a new IPv4 route with all others that it
 * might share its way with, which are all of the device (5,000 cost a quarter of a second, 10,000 more than one). Nexthop
 * objects are looked up by their id, and so are the ways of their routes. IPv6 has no such trouble and stays as it is.
 *
 * Whether a device is beyond the threshold already is seen from what stands, so a restart goes on as before. What is not ours is
 * left alone: an id that another has is passed over, and a route in whose place another's stands, or one that only looks like
 * ours, is wanted as upstream would write it.
 *
 * `NexthopWays` is kept while objects change, so that a change costs what it touches; a device that crosses the threshold costs
 * all its routes, once. Pure.
 */
import { remembered } from "../model/memo.ts";
import { nexthopIds } from "../model/nexthop_id.ts";
import { idOf, nexthop, type Obj, type ObjectId, type ObjectOf, viaNexthop } from "../model/objects.ts";
import type { Observed } from "../model/plan.ts";

/** With more gatewayed routes a device gets nexthop objects … */
export const MANY = 500;
/** … and keeps them until it has fewer. */
export const FEW = 400;

/** Objects by id. */
export type Objects = ReadonlyMap<ObjectId, Obj>;

type Route = ObjectOf<"route">;

export class NexthopWays {
  readonly #instance: string;
  #plain: Objects = new Map();
  /** Of each device its gatewayed routes, by id. */
  readonly #routes = new Map<string, Set<ObjectId>>();
  readonly #crowded = new Set<string>();
  /** By the route's id the object that it goes by. */
  readonly #through = new Map<ObjectId, number>();
  /** By the object's id the routes that go by it, and whose way it is. */
  readonly #users = new Map<number, { readonly way: string; readonly routes: Set<ObjectId> }>();
  readonly #idOfWay = new Map<string, number>();
  /** Ids that others have. */
  readonly #taken = new Set<number>();
  /** Routes in whose place another's stand, or one that looks like ours. */
  readonly #held = new Set<ObjectId>();
  /** False where the kernel has no such objects: every route stays as it is. */
  #available = true;
  #turned: ReadonlySet<string> = new Set();

  /** @param instance names us among the daemons of this machine */
  constructor(instance: string) {
    this.#instance = instance;
  }

  /** Begins anew, with all that should stand and all that does. */
  reset(plain: Objects, observed: readonly Observed[], available = true): void {
    const before = new Set(this.#crowded);
    this.#available = available;
    for (const each of [this.#routes, this.#crowded, this.#through, this.#users, this.#idOfWay]) each.clear();
    this.#taken.clear();
    this.#held.clear();
    this.#plain = plain;
    const already = new Set<string>();
    for (const object of observed) {
      if (object.kind === "nexthop" && object.standing === "ours") already.add(object.on!);
      this.#observe(object, idOf(object));
    }
    for (const [id, object] of plain) this.#count(id, object);
    for (const device of this.#routes.keys()) this.#judge(device, already.has(device));
    this.#turned = before.symmetricDifference(this.#crowded);
    for (const device of this.#crowded) for (const id of this.#routes.get(device)!) this.#resolve(id, none);
  }

  /** Devices whose routes have got another way by the last change, though nobody wanted others. */
  get turned(): ReadonlySet<string> {
    return this.#turned;
  }

  /**
   * Takes changes in.
   *
   * @param wanted ids of what should stand otherwise than before, in the very map that `reset` was given
   * @param standing ids of what stands otherwise, with how it stands now
   * @returns the ids of what should stand otherwise now, by way of nexthop objects
   */
  update(
    wanted: Iterable<ObjectId>,
    standing: Iterable<readonly [ObjectId, Observed | undefined]>,
  ): Set<ObjectId> {
    const changed = new Set<ObjectId>(wanted);
    const open = new Set<ObjectId>();
    const devices = new Set<string>();
    for (const id of changed) {
      if (!id.startsWith("route ")) continue;
      for (const device of this.#recount(id)) devices.add(device);
      open.add(id);
    }
    for (const [id, now] of standing) for (const route of this.#observeChange(id, now)) open.add(route);
    this.#turned = new Set([...devices].filter((device) => this.#judge(device, false)));
    for (const device of this.#turned) for (const id of this.#routes.get(device) ?? []) open.add(id);
    for (const id of open) this.#resolve(id, changed);
    return changed;
  }

  /** What should stand; undefined for nothing. */
  get(id: ObjectId): Obj | undefined {
    if (id.startsWith("nexthop ")) {
      return this.#hop(Number(id.slice("nexthop ".length))) ?? this.#plain.get(id);
    }
    const plain = this.#plain.get(id);
    const through = this.#through.get(id);
    return plain === undefined || through === undefined ? plain : pair(plain as Route, through)[1];
  }

  /** All that should stand, in the order of what it is worked out from. */
  objects(): Obj[] {
    const objects: Obj[] = [];
    const made = new Set<number>();
    for (const [id, plain] of this.#plain) {
      const through = this.#through.get(id);
      if (through === undefined) {
        objects.push(plain);
        continue;
      }
      const [hop, route] = pair(plain as Route, through);
      if (!made.has(through)) objects.push(hop);
      made.add(through);
      objects.push(route);
    }
    return objects;
  }

  /** True where any route goes by a nexthop object. */
  get inUse(): boolean {
    return this.#through.size > 0;
  }

  /** A route that goes by the object. */
  userOf(id: number): ObjectId | undefined {
    return this.#users.get(id)?.routes.values().next().value;
  }

  #hop(id: number): Obj | undefined {
    const user = this.userOf(id);
    return user === undefined ? undefined : pair(this.#plain.get(user) as Route, id)[0];
  }

  #count(id: ObjectId, object: Obj): void {
    if (!isGatewayed(object)) return;
    const known = this.#routes.get(object.on!);
    if (known) known.add(id);
    else this.#routes.set(object.on!, new Set([id]));
  }

  /** The devices on which the route is, or was. */
  #recount(id: ObjectId): string[] {
    const before = [...this.#routes].filter(([, ids]) => ids.delete(id)).map(([device]) => device);
    const now = this.#plain.get(id);
    if (now === undefined) return before;
    this.#count(id, now);
    return isGatewayed(now) ? [...before, now.on!] : before;
  }

  /** True where the device is treated otherwise than before. */
  #judge(device: string, already: boolean): boolean {
    const count = this.#routes.get(device)?.size ?? 0;
    const was = this.#crowded.has(device);
    const is = this.#available && (count > MANY || count >= FEW && (was || already));
    if (is) this.#crowded.add(device);
    else this.#crowded.delete(device);
    return was !== is;
  }

  #observe(object: Observed | undefined, id: ObjectId): void {
    const { kind, standing } = object ?? {};
    if (id.startsWith("route ")) {
      mark(this.#held, id, kind === "route" && (standing === "foreign" || standing === "lookalike"));
    } else if (id.startsWith("nexthop ")) {
      mark(this.#taken, Number(id.slice("nexthop ".length)), kind === "nexthop" && standing !== "ours");
    }
  }

  /** The routes that may have to go another way. */
  #observeChange(id: ObjectId, now: Observed | undefined): Iterable<ObjectId> {
    this.#observe(now, id);
    if (id.startsWith("route ")) return [id];
    return id.startsWith("nexthop ")
      ? this.#users.get(Number(id.slice("nexthop ".length)))?.routes ?? []
      : [];
  }

  #resolve(id: ObjectId, changed: { add(id: ObjectId): unknown }): void {
    const object = this.#plain.get(id);
    const before = this.#through.get(id);
    const way =
      object !== undefined && isGatewayed(object) && this.#crowded.has(object.on!) && !this.#held.has(id)
        ? choices(object, this.#instance)
        : null;
    const now = way === null ? undefined : this.#choose(way);
    if (before !== undefined && before === now && this.#users.get(now)?.way === way!.way) return;
    if (before !== undefined) this.#release(id, before, changed);
    if (now !== undefined) this.#use(id, now, way!.way, changed);
    if (before !== undefined || now !== undefined) changed.add(id);
  }

  /** Undefined where others have all of the ids. */
  #choose({ way, ids }: Choices): number | undefined {
    const known = this.#idOfWay.get(way);
    if (known !== undefined && !this.#taken.has(known)) return known;
    return ids.find((id) => !this.#taken.has(id) && (this.#users.get(id)?.way ?? way) === way);
  }

  #use(route: ObjectId, id: number, way: string, changed: { add(id: ObjectId): unknown }): void {
    const users = this.#users.get(id) ?? { way, routes: new Set() };
    if (users.routes.size === 0) changed.add(`nexthop ${id}`);
    users.routes.add(route);
    this.#users.set(id, users);
    this.#idOfWay.set(way, id);
    this.#through.set(route, id);
  }

  #release(route: ObjectId, id: number, changed: { add(id: ObjectId): unknown }): void {
    this.#through.delete(route);
    const users = this.#users.get(id)!;
    users.routes.delete(route);
    if (users.routes.size > 0) return;
    this.#users.delete(id);
    if (this.#idOfWay.get(users.way) === id) this.#idOfWay.delete(users.way);
    changed.add(`nexthop ${id}`);
  }
}

const none = { add(): void {} };

function mark<T>(set: Set<T>, value: T, is: boolean): void {
  if (is) set.add(value);
  else set.delete(value);
}

/** True for an IPv4 route through a gateway. */
function isGatewayed(object: Obj): object is Route {
  return object.kind === "route" && object.on !== undefined && object.fields.gateway?.includes(":") === false;
}

interface Choices {
  readonly way: string;
  readonly ids: readonly number[];
}

const choices = remembered(({ fields: { device, gateway } }: Route, instance: string): Choices => ({
  way: `${device} ${gateway}`,
  ids: nexthopIds(instance, String(device), String(gateway)),
}));

type Pair = readonly [hop: ObjectOf<"nexthop">, route: Route];

/** The nexthop object and the route by way of it: the very same ones as long as the id is. */
function pair(plain: Route, id: number): Pair {
  const known = pairs.get(plain);
  if (known?.[0].fields.id === id) return known;
  const { gateway, device, onlink } = plain.fields;
  const spec = { gateway: gateway!, device: device!, onlink };
  const made = [nexthop(id, spec), viaNexthop(plain, id)] as const;
  pairs.set(plain, made);
  return made;
}

const pairs = new WeakMap<Obj, Pair>();

/**
 * What to want instead of `objects`, given what stands.
 *
 * @param instance names us among the daemons of this machine
 */
export function throughNexthops(
  objects: readonly Obj[],
  observed: readonly Observed[],
  instance: string,
): readonly Obj[] {
  const ways = new NexthopWays(instance);
  ways.reset(new Map(objects.map((object) => [idOf(object), object])), observed);
  return ways.inUse ? ways.objects() : objects;
}
