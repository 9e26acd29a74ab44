/** What a round was: planned for which part, done, and what is open after it. Pure. */
import { makesDevices, type Obj } from "../model/objects.ts";
import type { Blocked, Operation, Outcome, Plan, Scope } from "../model/plan.ts";
import { describeBlocked } from "../plan/describe.ts";
import { packetsNeed } from "../plan/needed.ts";

/** Read, planned and applied each by itself: what keeps one from being read must not keep the other from being mended. */
export type Part = "network" | "firewall";

export interface Round {
  readonly scope: Scope;
  readonly inSync: boolean;
  /** Its operations are those of this round; what is in the way or withheld is all that is so after it. */
  readonly plan: Plan;
  /** All that has failed and was not done since. */
  readonly failed: readonly Outcome[];
}

/** True where a device was made that others (udev) may have a hand in. */
export function touchedDevices({ plan, failed }: Round): boolean {
  return !failed.some(({ operation }) => packetsNeed(operation)) &&
    plan.operations.some((o) => makesDevices(o.object) && o.verb !== "delete");
}

/** What keeps the base from standing: failures and foreign objects in the way of `objects`, in words. */
export function obstacles(round: Round, objects: readonly Obj[]): string[] {
  const ids = new Set(objects.map((o) => `${o.kind} ${o.key}`));
  const concerns = (o: Operation | Blocked) => ids.has(`${o.object.kind} ${o.object.key}`);
  return [
    ...round.failed.filter((f) => concerns(f.operation)).map((f) => f.error!),
    ...round.plan.blocked.filter(concerns).map(describeBlocked),
  ];
}

/** True where something that was to go is still there. */
export function leavesRemains({ plan, failed }: Round): boolean {
  return plan.withheld.length > 0 || failed.some(({ operation }) => operation.verb === "delete");
}
