/**
 * The one pipeline: what should stand, by which ways, against what does. The loop, a preview, a start and a departure all
 * come through here, so that what is shown is what is done.
 *
 * Deletions need a reason to be safe: the store's whole list was seen, and no record that can't be read names what is to go.
 */
import { remembered } from "../model/memo.ts";
import { isFirewall, type Kind, type Obj } from "../model/objects.ts";
import type { KindRules, Observed, Plan, Scope } from "../model/plan.ts";
import type { Prefix } from "../model/prefix.ts";
import { diff } from "./diff.ts";
import { throughNexthops } from "./nexthops.ts";
import { protectedBy } from "./protection.ts";

export interface RoundInput {
  /** Those of other scopes are passed over. */
  readonly objects: readonly Obj[];
  /** All that stands in this scope. */
  readonly observed: readonly Observed[];
  readonly scope: Scope;
  /** Names us among the daemons of this machine. */
  readonly instance: string;
  /** False: what is to go is withheld. */
  readonly deletes: boolean;
  /** Subnets of records that can't be read: nothing that leads there is deleted. */
  readonly protectedSubnets?: readonly Prefix[];
}

/** What the kernel side says of itself. */
export interface KernelTraits {
  readonly rules: ReadonlyMap<Kind, KindRules>;
  readonly hasNexthops: boolean;
}

export interface PlannedRound {
  readonly plan: Plan;
  /** What was planned for: by way of nexthop objects where there are many. */
  readonly objects: readonly Obj[];
}

export function planRound(input: RoundInput, { rules, hasNexthops }: KernelTraits): PlannedRound {
  const { observed, scope, instance, deletes, protectedSubnets = [] } = input;
  const ways = scope.network && hasNexthops
    ? throughNexthops(input.objects, observed, instance)
    : input.objects;
  const objects = scope.network && scope.firewall
    ? ways
    : scope.firewall
    ? firewallPart(ways)
    : networkPart(ways);
  const shielded = protectedBy(protectedSubnets, observed);
  const mayDelete = (object: Observed) => deletes && !shielded(object);
  return { plan: diff(objects, observed, { rules, mayDelete }), objects };
}

/** The very same for the very same list, as everything that is worked out of it. */
const networkPart = remembered((objects: readonly Obj[]) => objects.filter((o) => !isFirewall(o.kind)));
const firewallPart = remembered((objects: readonly Obj[]) => objects.filter((o) => isFirewall(o.kind)));
