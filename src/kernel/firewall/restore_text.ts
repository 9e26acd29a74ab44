/**
 * Writing the input of `iptables-restore --noflush`: all operations of one family as one transaction for each table.
 *
 * Naming a chain (`:CHAIN - [0:0]`) makes it where it is absent and empties it where it is not, within the transaction, so
 * that a chain goes from its old rules to the new ones with nothing in between. In the same transaction jumps and bare rules
 * are put in place before anything is taken away, and a jump is removed before the chain that it leads to.
 */
import { firewallPlace } from "../../model/firewall.ts";
import type { FirewallKind, ObjectOf } from "../../model/objects.ts";
import type { OperationOn } from "../../model/plan.ts";

/** An operation on one of the kinds. */
export type FirewallOperation = OperationOn<FirewallKind>;

/** The input for `iptables-restore` (or `ip6tables-restore`); the operations must be of one family. */
export function restoreInput(operations: readonly FirewallOperation[]): string {
  const tables = Map.groupBy(operations, (operation) => firewallPlace(operation.object.key).table);
  return [...tables].map(([table, inTable]) => {
    const lines = steps.flatMap((step) => inTable.flatMap(step));
    return [`*${table}`, ...lines, "COMMIT", ""].join("\n");
  }).join("");
}

/** Each takes an operation to its lines in that step; none where it has nothing to do in it. */
const steps: readonly ((operation: FirewallOperation) => string[])[] = [
  (operation) => made(operation, "chain") ? [`:${chainOf(operation.object)} - [0:0]`] : [],
  (operation) => made(operation, "chain") ? ruleLines("-A", operation.object) : [],
  (operation) => made(operation, "jump") ? placeJump(operation) : [],
  (operation) => made(operation, "rules") ? placeRules(operation) : [],
  (operation) => removed(operation, "jump") ? [ruleLine("-D", operation.object)] : [],
  (operation) => removed(operation, "rules") ? ruleLines("-D", operation.object) : [],
  (operation) => removed(operation, "chain") ? dropChain(operation.object) : [],
];

function made<K extends FirewallKind>(operation: FirewallOperation, kind: K): operation is OperationOn<K> {
  return operation.object.kind === kind && operation.verb !== "delete";
}

function removed<K extends FirewallKind>(operation: FirewallOperation, kind: K): operation is OperationOn<K> {
  return operation.object.kind === kind && operation.verb === "delete";
}

function placeJump({ object, before }: OperationOn<"jump">): string[] {
  const old = before === undefined ? [] : [ruleLine("-D", before)];
  return [...old, ruleLine("-A", object)];
}

/** All anew, at the end: it is their order that counts, and the transaction shows nobody the gap. */
function placeRules({ object, before }: OperationOn<"rules">): string[] {
  return [...before === undefined ? [] : ruleLines("-D", before), ...ruleLines("-A", object)];
}

function dropChain(object: ObjectOf<"chain">): string[] {
  return [`-F ${chainOf(object)}`, `-X ${chainOf(object)}`];
}

/** The line that adds or deletes the rule of a jump. */
export function ruleLine(verb: "-A" | "-D", object: ObjectOf<"jump">): string {
  return `${verb} ${chainOf(object)} ${object.fields.rule}`;
}

/** The lines that add or delete all rules of a chain, or all bare ones. */
function ruleLines(verb: "-A" | "-D", object: ObjectOf<"chain" | "rules">): string[] {
  return object.fields.rules.map((rule) => `${verb} ${chainOf(object)} ${rule}`);
}

function chainOf(object: ObjectOf<FirewallKind>): string {
  return firewallPlace(object.key).chain;
}
