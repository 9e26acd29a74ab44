/**
 * What stands on this host as far as the kernel has told: a whole reading, and every change since, in their order. What is in
 * here comes from nowhere else: that an operation of ours has succeeded says nothing of what became of the object after it.
 *
 * Where what is told does not fit what is known (two routes in one place, a route that goes and is not the one that stood there),
 * only another whole reading says how things are. Pure.
 */
import type { Family } from "../model/ip.ts";
import { idOf, type ObjectId, sameFields } from "../model/objects.ts";
import type { Observed, Told } from "../model/plan.ts";

export class Standing {
  readonly #objects = new Map<ObjectId, Observed>();
  /** How many routes go by each nexthop object: they go with it, and nobody is told. */
  readonly #users = new Map<number, number>();
  /** How many routes and nexthop objects lead over each device: they go when it goes down, and nobody is told. */
  readonly #over = new Map<string, number>();
  readonly #leading: Record<Family, Record<"route" | "neighbour" | "peer", number>> = {
    4: { route: 0, neighbour: 0, peer: 0 },
    6: { route: 0, neighbour: 0, peer: 0 },
  };

  /** @param observed a whole reading */
  constructor(observed: readonly Observed[]) {
    for (const object of observed) this.#set(idOf(object), object);
  }

  get(id: ObjectId): Observed | undefined {
    return this.#objects.get(id);
  }

  all(): Observed[] {
    return [...this.#objects.values()];
  }

  /** So many peers of a family have something here, at least; only where it is 0 for all that is known, none has. */
  peersAtLeast(family: Family): number {
    const { route, neighbour, peer } = this.#leading[family];
    return Math.max(route, neighbour, peer);
  }

  /**
   * Takes in what was told, in order.
   *
   * @returns the ids of what is otherwise than before; null where only a whole reading says what stands now
   */
  take(all: readonly Told[]): Set<ObjectId> | null {
    const changed = new Set<ObjectId>();
    let fits = true;
    for (const told of all) {
      const id = idOf(told);
      fits &&= this.#isPlain(told, id);
      const before = this.#objects.get(id);
      if (told.kind === "link" || (before === undefined && told.now === null)) continue;
      if (before !== undefined && told.now !== null && same(before, told.now)) continue;
      this.#set(id, told.now ?? undefined);
      changed.add(id);
    }
    return fits ? changed : null;
  }

  /** How many objects stand otherwise in another: what nobody has told. @param counts which of them matter */
  differences(other: Standing, counts: (object: Observed) => boolean): number {
    const ids = new Set([...this.#objects.keys(), ...other.#objects.keys()]);
    return [...ids].filter((id) => {
      const [a, b] = [this.#objects.get(id), other.#objects.get(id)];
      if (a !== undefined && b !== undefined && same(a, b)) return false;
      return [a, b].some((object) => object !== undefined && counts(object));
    }).length;
  }

  /** False where what is told can't be all. */
  #isPlain({ kind, key, now, was, replaces }: Told, id: ObjectId): boolean {
    if (kind === "link") return (this.#over.get(key) ?? 0) === 0;
    const before = this.#objects.get(id);
    if (before === undefined) return true;
    if (kind === "nexthop" && now === null) return (this.#users.get(Number(before.key)) ?? 0) === 0;
    if (kind !== "route") return true;
    if (now !== null) return replaces || sameFields(before, now);
    return was === undefined || sameFields(before, was);
  }

  #set(id: ObjectId, now: Observed | undefined): void {
    const before = this.#objects.get(id);
    if (before !== undefined) this.#count(before, -1);
    if (now === undefined) this.#objects.delete(id);
    else {
      this.#objects.set(id, now);
      this.#count(now, 1);
    }
  }

  #count(object: Observed, by: 1 | -1): void {
    const { kind, standing, on } = object;
    if (kind === "route" && object.fields.nexthop !== null) add(this.#users, object.fields.nexthop, by);
    if ((kind === "route" || kind === "nexthop") && on !== undefined) add(this.#over, on, by);
    if (standing !== "ours" && standing !== "adoptable") return;
    const place = kind === "route" && (object.fields.gateway !== null || object.fields.nexthop !== null)
      ? object.fields.destination
      : kind === "peer"
      ? object.fields.subnet
      : kind === "neighbour"
      ? object.fields.address
      : null;
    if (place === null) return;
    this.#leading[place.includes(":") ? 6 : 4][kind as "route" | "neighbour" | "peer"] += by;
  }
}

function add<K>(counts: Map<K, number>, key: K, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

function same(a: Observed, b: Observed): boolean {
  return a === b || a.standing === b.standing && a.on === b.on && sameFields(a, b);
}
