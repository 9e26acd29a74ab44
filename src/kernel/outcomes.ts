/**
 * From operations to netlink and back: an operation becomes one or a few changes, all changes of a run go down in one batch,
 * and their results are folded into one outcome per operation. A change that can't even be written down (its device is
 * missing) fails its own operation only.
 */
import { describeErrno } from "../../ffi/errno.ts";
import type { Change } from "../../ffi/records.ts";
import { messageOf } from "../model/errors.ts";
import type { Kind } from "../model/objects.ts";
import type { KindRules, Operation, OperationOn, Outcome, Verb } from "../model/plan.ts";

/** EEXIST (asm-generic/errno-base.h). */
export const EEXIST = 17;
/** What "it is not there" looks like of routes, neighbours, FDB entries, addresses, devices: ENOENT, ESRCH, ENXIO, ENODEV, EADDRNOTAVAIL. */
const absences: ReadonlySet<number> = new Set([2, 3, 6, 19, 99]);

/** The changes that carry out one operation, or why there are none. */
export type Translation<R> = readonly Change<R>[] | { readonly impossible: string };

/** Results are 0 or a negative errno, one per change. */
export type Send<R> = (changes: readonly Change<R>[]) => Promise<readonly number[]>;

const verbs: Readonly<Record<Verb, string>> = {
  create: "add",
  modify: "change",
  recreate: "recreate",
  delete: "delete",
};

/** `add route 10.1.2.0/24 via 10.1.2.0 dev flannel.1 onlink proto 85: the device is down (ENETDOWN)`. */
export function failed<K extends Kind>(
  rules: KindRules<K>,
  operation: OperationOn<K>,
  state: string,
): Outcome {
  const { verb, object } = operation;
  return {
    operation: operation as Operation,
    error: `${verbs[verb]} ${object.kind} ${rules.print(object)}: ${state}`,
  };
}

export function succeeded<K extends Kind>(operation: OperationOn<K>): Outcome {
  return { operation: operation as Operation, error: null };
}

/** Applies all operations with one call of `send`, in their order. */
export async function applyChanges<K extends Kind, R>(
  rules: KindRules<K>,
  operations: readonly OperationOn<K>[],
  translate: (operation: OperationOn<K>) => Translation<R>,
  send: Send<R>,
): Promise<Outcome[]> {
  const translations = operations.map(translate);
  const changes = translations.flatMap((t) => "impossible" in t ? [] : t);
  const results = await settle(changes, send);
  let at = 0;
  return operations.map((operation, i) => {
    const translation = translations[i]!;
    if ("impossible" in translation) return failed(rules, operation, translation.impossible);
    const own = translation.map((change) => ({ change, result: results[at++] ?? 0 }));
    const bad = own.find(({ change, result }) => !isSuccess(change, result));
    return bad ? failed(rules, operation, stateOf(bad.result)) : succeeded(operation);
  });
}

/** A socket that fails takes its batch with it, not the whole plan. */
async function settle<R>(
  changes: readonly Change<R>[],
  send: Send<R>,
): Promise<readonly (number | string)[]> {
  if (changes.length === 0) return [];
  try {
    return await send(changes);
  } catch (thrown) {
    return changes.map(() => messageOf(thrown));
  }
}

function isSuccess<R>(change: Change<R>, result: number | string): boolean {
  return result === 0 || (change.verb === "delete" && typeof result === "number" && absences.has(-result));
}

function stateOf(result: number | string): string {
  if (typeof result === "string") return result;
  const remedy = result === -EEXIST
    ? "; it is not ours, so it stays: remove it, or choose another network"
    : "";
  return describeErrno(result) + remedy;
}
