/**
 * The driver for firewall chains and jumps, on `iptables-save` and `iptables-restore` (`ip6tables-…` for IPv6).
 *
 * Reading is one listing for each family. Applying is one restore for each family: all operations in one input, atomic for
 * each table. Where such an input is refused, its operations are tried one by one, so that a bad one does not stop the others;
 * what already stands as wanted by then counts as done.
 *
 * A host without the programs has no rules of ours: reading finds nothing, applying says what is missing.
 */
import { messageOf } from "../../model/errors.ts";
import { firewallPlace } from "../../model/firewall.ts";
import { families, type Family } from "../../model/ip.ts";
import type { Obj } from "../../model/objects.ts";
import type { KindRules, Operation, Outcome } from "../../model/plan.ts";
import { MissingProgram, type Run } from "../../system/exec.ts";
import type { Driver } from "../driver.ts";
import type { Owner } from "../kernel.ts";
import { listError, restoreError } from "./errors.ts";
import { restoreInput, ruleLine } from "./restore_text.ts";
import { normalRule, parseSaved, type SavedRules } from "./save_text.ts";
import { firewallObjects, leadsTo } from "./standing.ts";
import { firewallTools, type Variant } from "./tools.ts";

export interface IptablesOptions {
  readonly run: Run;
  /** Which programs to use; those that the system chose unless told. */
  readonly variant?: Variant;
}

export function iptablesDriver(options: IptablesOptions): Driver {
  return {
    rules: kindRules,
    scope: "firewall",
    read: async (owner: Owner) => {
      const lists = families.map(async (family) =>
        firewallObjects(await list(options, family), family, owner)
      );
      return (await Promise.all(lists)).flat();
    },
    apply: (operations: readonly Operation[]) => applyAll(options, operations),
  };
}

const kindRules: readonly KindRules[] = [
  {
    kind: "chain",
    marks: [],
    needsRecreate: () => false,
    print: (object) => `${tableOf(object)} chain ${firewallPlace(object.key).chain} (${ruleCount(object)})`,
  },
  {
    kind: "jump",
    marks: [],
    needsRecreate: () => false,
    print: (object) => `${tableOf(object)} ${ruleLine("-A", object)}`,
  },
];

function tableOf(object: Obj): string {
  const { family, table } = firewallPlace(object.key);
  return `${firewallTools(family).main} -t ${table}`;
}

function ruleCount(object: Obj): string {
  const rules = object.fields["rules"];
  const count = Array.isArray(rules) ? rules.length : 0;
  return count === 1 ? "1 rule" : `${count} rules`;
}

/** Every rule of the family. The plain listing leaves tables alone that do not exist; one by table would make them. */
async function list({ run, variant }: IptablesOptions, family: Family): Promise<SavedRules> {
  const { save } = firewallTools(family, variant);
  try {
    const result = await run(save, []);
    const error = listError(save, result);
    if (error !== null) throw error;
    return parseSaved(result.code === 0 ? result.stdout : "");
  } catch (thrown) {
    if (thrown instanceof MissingProgram) return new Map();
    throw thrown;
  }
}

async function applyAll(options: IptablesOptions, operations: readonly Operation[]): Promise<Outcome[]> {
  const errors = new Map<Operation, string | null>();
  const byFamily = Map.groupBy(operations, (operation) => firewallPlace(operation.object.key).family);
  await Promise.all([...byFamily].map(async ([family, some]) => {
    for (const [operation, error] of await applyFamily(options, family, some)) errors.set(operation, error);
  }));
  return operations.map((operation) => ({ operation, error: errors.get(operation) ?? null }));
}

/** What went wrong with each operation; absent or null where nothing did. */
async function applyFamily(
  options: IptablesOptions,
  family: Family,
  operations: readonly Operation[],
): Promise<Map<Operation, string | null>> {
  const error = await restore(options, family, operations);
  const errors = new Map(operations.map((operation) => [operation, error]));
  if (error === null) return errors;
  const now = await list(options, family).catch(() => null);
  if (now === null) return errors;
  for (const operation of operations) {
    errors.set(operation, stands(operation, now) ? null : await restore(options, family, [operation]));
  }
  return errors;
}

/** True where the operation has nothing left to do. */
function stands({ verb, object }: Operation, saved: SavedRules): boolean {
  const { table, chain } = firewallPlace(object.key);
  const rules = saved.get(table)?.get(chain);
  if (object.kind === "chain") {
    return verb === "delete" ? rules === undefined : sameRules(rules, object.fields["rules"]);
  }
  if (verb === "delete") return isGone(object, rules ?? []);
  return rules?.includes(normalRule(String(object.fields["rule"]))) ?? false;
}

/** A surplus jump (`FLANNEL-FWD #2`) is gone as soon as there are fewer: the others look just like it. */
function isGone(object: Obj, rules: readonly string[]): boolean {
  const surplus = / (\S+) #(\d+)$/.exec(object.key);
  if (surplus === null) return !rules.includes(normalRule(String(object.fields["rule"])));
  return rules.filter((rule) => leadsTo(rule, surplus[1] ?? "")).length < Number(surplus[2]);
}

function sameRules(have: readonly string[] | undefined, want: unknown): boolean {
  return Array.isArray(want) && have?.length === want.length &&
    have.every((rule, i) => rule === normalRule(String(want[i])));
}

/** Null where it took effect, else what went wrong. */
async function restore(
  { run, variant }: IptablesOptions,
  family: Family,
  operations: readonly Operation[],
): Promise<string | null> {
  const program = firewallTools(family, variant).restore;
  const input = restoreInput(operations);
  try {
    return restoreError(program, input, await run(program, ["--noflush", "--wait=10"], { stdin: input }));
  } catch (thrown) {
    return messageOf(thrown);
  }
}

/** For the verb `plan`: exactly what each program would be given. */
export function restoreInputs(
  operations: readonly Operation[],
  variant?: Variant,
): { readonly program: string; readonly input: string }[] {
  const byFamily = Map.groupBy(operations, (operation) => firewallPlace(operation.object.key).family);
  return [...byFamily].map(([family, some]) => ({
    program: firewallTools(family, variant).restore,
    input: restoreInput(some),
  }));
}
