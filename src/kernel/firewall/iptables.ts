/**
 * The driver for firewall chains, jumps and bare rules, on `iptables-save` and `iptables-restore` (`ip6tables-…` for IPv6).
 *
 * Reading is one listing for each family. Of the variant that is not in use (`other`) a second listing gives what a daemon of
 * before the change of variants left there; it is never wanted, so that all of it goes. How that is applied: `apply.ts`.
 *
 * A host without the programs has no rules of ours: reading finds nothing, applying says what is missing.
 */
import { firewallPlace, inVariant, type Variant } from "../../model/firewall.ts";
import { families, type Family } from "../../model/ip.ts";
import type { FirewallKind, ObjectOf } from "../../model/objects.ts";
import type { KindRules } from "../../model/plan.ts";
import { MissingProgram, type Run } from "../../system/exec.ts";
import type { Driver } from "../driver.ts";
import type { Owner } from "../../model/owner.ts";
import { applyAll } from "./apply.ts";
import { listError } from "./errors.ts";
import { type FirewallOperation, ruleLine } from "./restore_text.ts";
import { parseSaved, type SavedRules } from "./save_text.ts";
import { firewallObjects, type FirewallObserved } from "./standing.ts";
import { firewallTools } from "./tools.ts";

export interface IptablesOptions {
  readonly run: Run;
  /** Which programs to use; those that the system chose unless told. */
  readonly variant?: Variant;
  /** The variant that is not in use, to take away what is ours there; without it nobody looks. */
  readonly other?: Variant;
}

export function iptablesDriver(options: IptablesOptions): Driver<FirewallKind> {
  return {
    rules: kindRules,
    scope: "firewall",
    read: async (owner: Owner) => {
      const lists = families.flatMap((family) => [
        readInUse(options, family, owner),
        readOther(options, family, owner),
      ]);
      return (await Promise.all(lists)).flat();
    },
    apply: (operations: readonly FirewallOperation[]) =>
      applyAll(
        options,
        (family, variant) => listRules(options.run, family, variant ?? options.variant),
        operations,
      ),
  };
}

const chainRules: KindRules<"chain"> = {
  kind: "chain",
  marks: [],
  needsRecreate: () => false,
  print: (object) => `${tableOf(object)} chain ${firewallPlace(object.key).chain} (${ruleCount(object)})`,
};

const jumpRules: KindRules<"jump"> = {
  kind: "jump",
  marks: [],
  needsRecreate: () => false,
  print: (object) => `${tableOf(object)} ${ruleLine("-A", object)}`,
};

const bareRulesRules: KindRules<"rules"> = {
  kind: "rules",
  marks: [],
  needsRecreate: () => false,
  print: (object) => `${tableOf(object)} ${ruleCount(object)} in ${firewallPlace(object.key).chain}`,
};

const kindRules: Driver<FirewallKind>["rules"] = [chainRules, jumpRules, bareRulesRules];

function tableOf(object: ObjectOf<FirewallKind>): string {
  const { family, variant, table } = firewallPlace(object.key);
  return `${firewallTools(family, variant).main} -t ${table}`;
}

function ruleCount({ fields: { rules } }: ObjectOf<"chain" | "rules">): string {
  return rules.length === 1 ? "1 rule" : `${rules.length} rules`;
}

async function readInUse(
  { run, variant }: IptablesOptions,
  family: Family,
  owner: Owner,
): Promise<FirewallObserved[]> {
  return firewallObjects(await listRules(run, family, variant), family, owner);
}

/**
 * What can't be read there can't be taken away, which harms nobody: the rules that are in use must not wait for it. So many a
 * kernel has one variant only.
 */
async function readOther(
  { run, other }: IptablesOptions,
  family: Family,
  owner: Owner,
): Promise<FirewallObserved[]> {
  if (other === undefined) return [];
  const saved = await listRules(run, family, other).catch(() => new Map());
  const found = firewallObjects(saved, family, { ...owner, layout: "chains" });
  return found.map((object) => inVariant(object, other));
}

/** Every rule of the family. The plain listing leaves tables alone that do not exist; one by table would make them. */
async function listRules(run: Run, family: Family, variant: Variant | undefined): Promise<SavedRules> {
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
