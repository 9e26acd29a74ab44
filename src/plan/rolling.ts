/**
 * The plan of a host's network, round after round: the first from all that should stand and all that does, the next from what
 * has changed of either, at the cost of what has changed. Each is the part of the whole plan that the changes touch; where a
 * change may touch more than itself, the whole plan is made from what is known to stand.
 *
 * What was planned and is still open (what failed, what is in the way, what must not be deleted yet) stays open until a plan touches
 * it again. Pure, but for its memory.
 */
import { idOf, type Obj, type ObjectId, sameFields } from "../model/objects.ts";
import type { Blocked, Observed, Operation, Outcome, Plan, Told } from "../model/plan.ts";
import type { Prefix } from "../model/prefix.ts";
import { diff, type DiffOptions } from "./diff.ts";
import { NexthopWays, type Objects } from "./nexthops.ts";
import { protectedBy } from "./protection.ts";
import type { KernelTraits } from "./round.ts";
import { type Losses, lossesOf, mostLosses } from "./shrink.ts";
import { Standing } from "./standing.ts";

/** What should stand, kept while it changes: `PeerBook`. */
export interface WantedObjects {
  /** The very same map for as long as it is the same set. */
  readonly objects: Objects;
  takeChanged(): ReadonlyMap<ObjectId, Obj | null>;
}

export interface RollingInput {
  readonly wanted: WantedObjects;
  /** False: what is to go is withheld. */
  readonly deletes: boolean;
  /** Subnets of records that can't be read: nothing that leads there is deleted. */
  readonly protectedSubnets: readonly Prefix[];
}

/** How an object that is made or changed was wanted before: `new` also where it did not stand although it was wanted. */
export type Before = "new" | "otherwise" | "same";

export interface RollingPlan {
  /** Its `blocked` and `withheld` are all that are open, also those that this plan does not touch. */
  readonly plan: Plan;
  /** What `plan.operations` were worked out for. */
  readonly touched: "all" | ReadonlySet<ObjectId>;
  before(object: Obj): Before;
}

/** What was found beside what is to be done. */
export interface WholePlan extends RollingPlan {
  /** How many objects stood otherwise than was told. */
  readonly missed: number;
  /** False where something is missing of what was told meanwhile: only another reading says what stands. */
  readonly complete: boolean;
}

export class Rolling {
  readonly #traits: KernelTraits;
  #standing = new Standing([]);
  readonly #ways: NexthopWays;
  #wanted: WantedObjects | null = null;
  /** Everything that was told since the last whole reading is in `standing`. */
  #complete = false;
  #deletes = false;
  /** Something was protected by the last plan. */
  #protects = false;
  readonly #failed = new Map<ObjectId, Outcome>();
  readonly #blocked = new Map<ObjectId, Blocked>();
  readonly #withheld = new Map<ObjectId, Operation>();

  /** @param instance names us among the daemons of this machine */
  constructor(instance: string, traits: KernelTraits) {
    this.#traits = traits;
    this.#ways = new NexthopWays(instance);
  }

  /** What failed last and was not tried again since. */
  get failed(): readonly Outcome[] {
    return [...this.#failed.values()];
  }

  /** A route that goes by the nexthop object with this id. */
  userOf(nexthop: number): ObjectId | undefined {
    return this.#ways.userOf(nexthop);
  }

  /**
   * From a whole reading.
   *
   * @param before what was told since the last plan and before the reading; null where something is missing of it
   * @param during what was told while it was made; null where that is not known, so that the next plan has to read again
   */
  whole(
    input: RollingInput,
    observed: readonly Observed[],
    before: readonly Told[] | null,
    during: readonly Told[] | null,
  ): WholePlan {
    const earlier = this.#standing;
    const now = this.#standing = new Standing(observed);
    this.#complete = during !== null && now.take(during) !== null;
    const known = this.#wanted !== null && this.#complete && before !== null &&
      earlier.take(before) !== null &&
      earlier.take(during!) !== null;
    const missed = known ? earlier.differences(now, isTold) : 0;
    return { ...this.#all(input), missed, complete: this.#complete };
  }

  /** What to do about changes. @returns null where only a whole reading says what stands */
  change(input: RollingInput, told: readonly Told[]): RollingPlan | null {
    const changed = this.#standing.take(told);
    if (changed === null || !this.#complete || this.#wanted === null) return null;
    const { wanted, deletes, protectedSubnets } = input;
    // A device that is in another's hands closes what should stand on it; a record that can't be read protects by what stands.
    const coupled = protectedSubnets.length > 0 || this.#protects ||
      [...this.#blocked.values()].some(({ object }) => object.kind === "link") ||
      (deletes !== this.#deletes && this.#withheld.size > 0);
    if (wanted.objects !== this.#wanted.objects || coupled) return this.#all(input);
    this.#deletes = deletes;
    const before = wanted.takeChanged();
    const touched = this.#ways.update(before.keys(), [...changed].map((id) => [id, this.#standing.get(id)]));
    for (const id of changed) touched.add(id);
    return this.#some(input, touched, before);
  }

  /** What became of a plan's operations. */
  settled({ touched }: RollingPlan, failed: readonly Outcome[]): void {
    if (touched === "all") this.#failed.clear();
    else for (const id of touched) this.#failed.delete(id);
    for (const outcome of failed) this.#failed.set(idOf(outcome.operation.object), outcome);
  }

  /** The same without its deletions: they have to wait. */
  withoutDeletions(planned: RollingPlan): RollingPlan {
    const { plan } = planned;
    for (const each of plan.operations) {
      if (each.verb === "delete") this.#withheld.set(idOf(each.object), each);
    }
    // They come back with the first plan that may delete.
    this.#deletes = false;
    const operations = plan.operations.filter(({ verb }) => verb !== "delete");
    return { ...planned, plan: { ...plan, operations, withheld: [...this.#withheld.values()] } };
  }

  /** How many peers the plan takes away; exactly, or, for little, at most so many of at least so many. */
  losses({ plan }: RollingPlan, exactly: boolean): Losses {
    if (exactly || plan.operations.some(({ verb, object }) => verb === "delete" && object.kind === "link")) {
      return lossesOf(plan, this.#standing.all());
    }
    return mostLosses(plan, (family) => this.#standing.peersAtLeast(family));
  }

  #all(input: RollingInput): RollingPlan {
    const { wanted, deletes, protectedSubnets } = input;
    const earlier = this.#wanted?.objects === wanted.objects ? null : this.#wanted?.objects ?? new Map();
    const changed = wanted.takeChanged();
    const unsettled = this.#unsettled();
    const observed = this.#standing.all();
    const objects = this.#through(wanted.objects, observed);
    this.#wanted = wanted;
    this.#deletes = deletes;
    this.#protects = protectedSubnets.length > 0;
    const plan = diff(objects, observed, this.#options(input, observed));
    this.#blocked.clear();
    this.#withheld.clear();
    this.#note(plan);
    const was = { unsettled, changed, earlier };
    return { plan, touched: "all", before: (object) => this.#before(object, was, wanted.objects) };
  }

  #some(
    input: RollingInput,
    touched: Set<ObjectId>,
    changed: ReadonlyMap<ObjectId, Obj | null>,
  ): RollingPlan {
    const unsettled = this.#unsettled();
    const [objects, observed]: [Obj[], Observed[]] = [[], []];
    for (const id of touched) {
      const [should, does] = [this.#ways.get(id), this.#standing.get(id)];
      if (should !== undefined) objects.push(should);
      if (does !== undefined) observed.push(does);
      this.#blocked.delete(id);
      this.#withheld.delete(id);
    }
    const part = diff(objects, observed, this.#options(input, observed));
    this.#note(part);
    const plan = { ...part, blocked: [...this.#blocked.values()], withheld: [...this.#withheld.values()] };
    const was = { unsettled, changed, earlier: null };
    return { plan, touched, before: (object) => this.#before(object, was, input.wanted.objects) };
  }

  #note({ blocked, withheld }: Plan): void {
    for (const each of blocked) this.#blocked.set(idOf(each.object), each);
    for (const each of withheld) this.#withheld.set(idOf(each.object), each);
  }

  #through(plain: Objects, observed: readonly Observed[]): readonly Obj[] {
    this.#ways.reset(plain, observed, this.#traits.hasNexthops);
    return this.#ways.objects();
  }

  #options({ deletes, protectedSubnets }: RollingInput, observed: readonly Observed[]): DiffOptions {
    const shielded = protectedBy(protectedSubnets, observed);
    return { rules: this.#traits.rules, mayDelete: (object) => deletes && !shielded(object) };
  }

  #before(object: Obj, was: Was, now: Objects): Before {
    const { kind, on } = object;
    if (was.unsettled.has(idOf(object))) return "new";
    if ((kind === "route" || kind === "nexthop") && on !== undefined && this.#ways.turned.has(on)) {
      return was.earlier?.size === 0 ? "new" : "otherwise";
    }
    const id = kind === "nexthop" ? this.#ways.userOf(object.fields.id) : undefined;
    return beforeOf(id ?? idOf(object), was, now);
  }

  #unsettled(): ReadonlySet<ObjectId> {
    return new Set([...this.#failed.keys(), ...this.#blocked.keys()]);
  }
}

/** What the kernel tells of, one by one; devices and addresses it tells of as well, and then everything is read. */
function isTold({ kind }: Observed): boolean {
  return kind === "route" || kind === "nexthop" || kind === "neighbour" || kind === "fdb" || kind === "peer";
}

/** What an object was before a plan: what was open, what was wanted of what has changed since, or of all. */
interface Was {
  readonly unsettled: ReadonlySet<ObjectId>;
  readonly changed: ReadonlyMap<ObjectId, Obj | null>;
  readonly earlier: Objects | null;
}

/** @param id as which the object was wanted, without regard to ways */
function beforeOf(id: ObjectId, { changed, earlier }: Was, now: Objects): Before {
  if (earlier === null && !changed.has(id)) return "same";
  const was = earlier === null ? changed.get(id) : earlier.get(id);
  const is = now.get(id);
  if (was === null || was === undefined) return "new";
  return is !== undefined && sameFields(was, is) ? "same" : "otherwise";
}
