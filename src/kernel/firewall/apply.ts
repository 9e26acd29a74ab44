/**
 * Applying operations on the firewall: one restore for each program, all of its operations in one input, atomic for each
 * table. Where such an input is refused, its operations are tried one by one, so that a bad one does not stop the others; what
 * already stands as wanted by then counts as done.
 *
 * Nothing goes before its successor stands: where something could not be made, nothing is taken out of the same table, and
 * what is to leave the variant that is not in use goes only when the family's rules in the one in use are complete.
 */
import { messageOf } from "../../model/errors.ts";
import { type FirewallPlace, firewallPlace, type Variant } from "../../model/firewall.ts";
import type { Family } from "../../model/ip.ts";
import type { FirewallKind, ObjectOf } from "../../model/objects.ts";
import { isOn, type Operation, type Outcome } from "../../model/plan.ts";
import type { Run } from "../../system/exec.ts";
import { restoreError } from "./errors.ts";
import { type FirewallOperation, restoreInput } from "./restore_text.ts";
import { normalRule, type SavedRules } from "./save_text.ts";
import { leadsTo } from "./standing.ts";
import { firewallTools } from "./tools.ts";

interface Programs {
  readonly run: Run;
  readonly variant?: Variant;
}

/** What stands now, of the variant in use unless told. */
type List = (family: Family, variant: Variant | undefined) => Promise<SavedRules>;

/** What went wrong with each operation; absent or null where nothing did. */
type Errors = Map<FirewallOperation, string | null>;

export async function applyAll(
  programs: Programs,
  list: List,
  operations: readonly FirewallOperation[],
): Promise<Outcome[]> {
  const errors: Errors = new Map();
  for (
    const [inUse, some] of [...Map.groupBy(operations, isInUse)].sort(([a], [b]) => Number(b) - Number(a))
  ) {
    const byTool = Map.groupBy(some, (operation) => toolOf(operation.object));
    await Promise.all(
      [...byTool.values()].map((batch) =>
        inUse || !anyFailed(operations, errors, (o) => sameFamily(o, batch[0]!))
          ? applyBatch(programs, list, batch, errors)
          : batch.forEach((operation) => errors.set(operation, stays(operation)))
      ),
    );
  }
  return operations.map((operation) => ({
    operation: operation as Operation,
    error: errors.get(operation) ?? null,
  }));
}

function isInUse({ object }: FirewallOperation): boolean {
  return firewallPlace(object.key).variant === undefined;
}

function toolOf(object: ObjectOf<FirewallKind>): string {
  return object.key.split(" ", 1)[0]!;
}

function sameFamily(a: FirewallOperation, b: FirewallOperation): boolean {
  return firewallPlace(a.object.key).family === firewallPlace(b.object.key).family;
}

function sameTable(a: FirewallOperation, b: FirewallOperation): boolean {
  return firewallPlace(a.object.key).table === firewallPlace(b.object.key).table;
}

/** True where one of those that make something has failed. */
function anyFailed(
  operations: readonly FirewallOperation[],
  errors: Errors,
  among: (operation: FirewallOperation) => boolean,
): boolean {
  return operations.some((o) => o.verb !== "delete" && (errors.get(o) ?? null) !== null && among(o));
}

function stays({ object }: FirewallOperation): string {
  return `remove firewall ${object.kind} "${object.key}": what replaces it could not be made; it stays until then`;
}

/** Operations of one program. */
async function applyBatch(
  programs: Programs,
  list: List,
  batch: readonly FirewallOperation[],
  errors: Errors,
): Promise<void> {
  const place = firewallPlace(batch[0]!.object.key);
  const error = await restore(programs, place, batch);
  for (const operation of batch) errors.set(operation, error);
  if (error === null) return;
  const now = await list(place.family, place.variant).catch(() => null);
  if (now === null) return;
  for (const operation of batch) errors.set(operation, null);
  for (const operation of batch) {
    if (stands(operation, now)) continue;
    const early = operation.verb === "delete" && anyFailed(batch, errors, (o) => sameTable(o, operation));
    errors.set(operation, early ? stays(operation) : await restore(programs, place, [operation]));
  }
}

/** True where the operation has nothing left to do. */
function stands(operation: FirewallOperation, saved: SavedRules): boolean {
  const { verb, object } = operation;
  const { table, chain } = firewallPlace(object.key);
  const rules = saved.get(table)?.get(chain);
  if (isOn(operation, "chain")) {
    return verb === "delete" ? rules === undefined : sameRules(rules, operation.object.fields.rules);
  }
  if (isOn(operation, "rules")) {
    const wanted = operation.object.fields.rules;
    const known = [...wanted, ...operation.before?.fields.rules ?? []];
    return sameRules(rules?.filter((rule) => known.includes(rule)), verb === "delete" ? [] : wanted);
  }
  if (!isOn(operation, "jump")) return false;
  if (verb === "delete") return isGone(operation.object, rules ?? []);
  return rules?.includes(normalRule(operation.object.fields.rule)) ?? false;
}

/** A surplus jump (`FLANNEL-FWD #2`) is gone as soon as there are fewer: the others look just like it. */
function isGone({ key, fields }: ObjectOf<"jump">, rules: readonly string[]): boolean {
  const surplus = / (\S+) #(\d+)$/.exec(key);
  if (surplus === null) return !rules.includes(normalRule(fields.rule));
  return rules.filter((rule) => leadsTo(rule, surplus[1] ?? "")).length < Number(surplus[2]);
}

function sameRules(have: readonly string[] = [], want: readonly string[]): boolean {
  return have.length === want.length && have.every((rule, i) => rule === normalRule(want[i]!));
}

/** Null where it took effect, else what went wrong. */
async function restore(
  { run, variant }: Programs,
  place: FirewallPlace,
  operations: readonly FirewallOperation[],
): Promise<string | null> {
  const program = firewallTools(place.family, place.variant ?? variant).restore;
  const input = restoreInput(operations);
  try {
    return restoreError(program, input, await run(program, ["--noflush", "--wait=10"], { stdin: input }));
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** For the verb `plan`: exactly what each program would be given. */
export function restoreInputs(
  operations: readonly FirewallOperation[],
  variant?: Variant,
): { readonly program: string; readonly input: string }[] {
  const byTool = Map.groupBy(operations, (operation) => toolOf(operation.object));
  return [...byTool.values()].map((some) => {
    const place = firewallPlace(some[0]!.object.key);
    return {
      program: firewallTools(place.family, place.variant ?? variant).restore,
      input: restoreInput(some),
    };
  });
}
