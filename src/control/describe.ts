/** Operations and obstacles in words, for the log, the preview and the health endpoint. Pure. */
import type { Blocked, KindRules, Operation, Verb } from "../model/plan.ts";
import { differences } from "./diff.ts";

type Rules = ReadonlyMap<string, KindRules>;

/** What an operation has done, as a participle. */
export const done: Readonly<Record<Verb, string>> = {
  create: "added",
  modify: "changed",
  recreate: "recreated",
  delete: "deleted",
};

/** `added route: 10.1.16.0/24 via …`. */
export function describeDone(operation: Operation, rules: Rules): string {
  return `${done[operation.verb]} ${operation.object.kind}: ${describeObject(operation, rules)}`;
}

/** For something of ours that somebody else had removed or changed. */
export function describeRepair(operation: Operation, rules: Rules): string {
  const damage = operation.before ? "was changed" : "was gone";
  return `repaired ${operation.object.kind}, which ${damage}: ${describeObject(operation, rules)}`;
}

/** The object as the tool that shows it prints it; behind a change of one, what differed. */
export function describeObject({ verb, object, before }: Operation, rules: Rules): string {
  const text = rules.get(object.kind)?.print(object) ?? object.key;
  if (!before || verb === "delete") return text;
  const changes = differences(object, before).map(({ field, is, want }) =>
    `${field} ${JSON.stringify(is)} -> ${JSON.stringify(want)}`
  );
  return `${text} (${changes.join(", ")})`;
}

/** What is in the way of what, and what to do. */
export function describeBlocked({ object, by }: Blocked): string {
  const what = object.kind === by.kind ? "" : ` (behind ${by.kind} "${by.key}")`;
  return `${object.kind} "${object.key}"${what}: one that is not ours is in the way; remove it, and it is put up at once`;
}
