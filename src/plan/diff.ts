/**
 * The one diff: what should stand against what does.
 *
 *        desired            observed
 *      ┌─────────┬────────────────┬──────────────────────────────┐
 *      │ create  │ same: nothing  │ ours, adoptable: delete      │
 *      │         │ else: modify,  │   (withheld before the first │
 *      │         │  recreate, or  │    whole snapshot)           │
 *      │         │  blocked       │ lookalike, foreign: leave    │
 *      └─────────┴────────────────┴──────────────────────────────┘
 *
 * Pure, and it knows no kind: what is particular to one comes in as `KindRules`. A desired field that is absent is not
 * compared. What stands on a device goes with it: behind a recreated device everything counts as absent, on a device that
 * goes nothing has to be deleted first, and behind a device that is blocked nothing is tried.
 */
import { remembered } from "../model/memo.ts";
import {
  type FieldValue,
  fits,
  inOrder,
  type Obj,
  ObjectIndex,
  sameValue,
  valueOf,
} from "../model/objects.ts";
import type { Blocked, KindRules, Observed, Operation, Plan } from "../model/plan.ts";

export interface DiffOptions {
  readonly rules: ReadonlyMap<string, KindRules>;
  /** False withholds a deletion (the in-sync gate, protected records). */
  mayDelete(observed: Observed): boolean;
}

export function diff(desired: readonly Obj[], observed: readonly Observed[], options: DiffOptions): Plan {
  const standing = new ObjectIndex(observed);
  const blocked: Blocked[] = [];
  const makes: Operation[] = [];
  const closed = new Map<string, Observed>();
  const renewed = new Set<string>();
  let unchanged = 0;
  for (const object of ordered(desired)) {
    const closedBy = object.on === undefined ? undefined : closed.get(object.on);
    const found = standing.get(object);
    const before = found?.on !== undefined && renewed.has(found.on) ? undefined : found;
    const step = closedBy ? { object, by: closedBy } : compare(object, before, options);
    if (step === null) unchanged++;
    else if ("by" in step) blocked.push(step);
    else makes.push(step);
    if (object.kind !== "link" || step === null) continue;
    if ("by" in step) closed.set(object.key, step.by);
    else if (step.verb !== "modify") renewed.add(object.key);
  }
  return { ...deletions(desired, observed, options, makes, renewed), blocked, unchanged };
}

/** What is wanted is often the very same list as in the round before. */
const ordered = remembered((desired: readonly Obj[]) => inOrder(desired));
const indexed = remembered((desired: readonly Obj[]) => new ObjectIndex(desired));

/** What one desired object needs: nothing (null), an operation, or it is blocked. */
function compare(
  object: Obj,
  before: Observed | undefined,
  { rules }: DiffOptions,
): Operation | Blocked | null {
  if (!before) return { verb: "create", object };
  const kind = rules.get(object.kind);
  if (before.standing === "foreign") return { object, by: before };
  if (before.standing === "lookalike" && !fits(object.fields, before.fields, kind?.marks)) {
    return { object, by: before };
  }
  if (fits(object.fields, before.fields)) return null;
  return { verb: kind?.needsRecreate(object, before) ? "recreate" : "modify", object, before };
}

function deletions(
  desired: readonly Obj[],
  observed: readonly Observed[],
  options: DiffOptions,
  makes: readonly Operation[],
  renewed: ReadonlySet<string>,
): Pick<Plan, "operations" | "withheld"> {
  const wanted = indexed(desired);
  const surplus = observed.filter((o) =>
    wanted.get(o) === undefined && (o.standing === "ours" || o.standing === "adoptable")
  );
  const going = new Set(surplus.filter((o) => o.kind === "link" && options.mayDelete(o)).map((o) => o.key));
  const operations: Operation[] = [...makes];
  const withheld: Operation[] = [];
  for (const object of inOrder(surplus).reverse()) {
    if (object.on !== undefined && (going.has(object.on) || renewed.has(object.on))) continue;
    (options.mayDelete(object) ? operations : withheld).push({ verb: "delete", object, before: object });
  }
  return { operations, withheld };
}

/** The fields in which a modified or blocked object differs, for printing: name, what stands, what should. */
export function differences(
  object: Obj,
  before: Observed,
): { field: string; is: FieldValue; want: FieldValue }[] {
  return Object.keys(object.fields).flatMap((field) => {
    const [is, want] = [valueOf(before.fields, field), valueOf(object.fields, field)];
    return sameValue(want, is) ? [] : [{ field, is: is ?? null, want: want ?? null }];
  });
}
