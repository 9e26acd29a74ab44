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
import type { Obj } from "../../model/objects.ts";
import type { KindRules, Observed, Operation } from "../../model/plan.ts";
import { MissingProgram, type Run } from "../../system/exec.ts";
import type { Driver } from "../driver.ts";
import type { Owner } from "../../model/owner.ts";
import { applyAll } from "./apply.ts";
import { listError } from "./errors.ts";
import { ruleLine } from "./restore_text.ts";
import { parseSaved, type SavedRules } from "./save_text.ts";
import { firewallObjects } from "./standing.ts";
import { firewallTools } from "./tools.ts";

export interface IptablesOptions {
  readonly run: Run;
  /** Which programs to use; those that the system chose unless told. */
  readonly variant?: Variant;
  /** The variant that is not in use, to take away what is ours there; without it nobody looks. */
  readonly other?: Variant;
}

export function iptablesDriver(options: IptablesOptions): Driver {
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
    apply: (operations: readonly Operation[]) =>
      applyAll(
        options,
        (family, variant) => listRules(options.run, family, variant ?? options.variant),
        operations,
      ),
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
  {
    kind: "rules",
    marks: [],
    needsRecreate: () => false,
    print: (object) => `${tableOf(object)} ${ruleCount(object)} in ${firewallPlace(object.key).chain}`,
  },
];

function tableOf(object: Obj): string {
  const { family, variant, table } = firewallPlace(object.key);
  return `${firewallTools(family, variant).main} -t ${table}`;
}

function ruleCount(object: Obj): string {
  const rules = object.fields["rules"];
  const count = Array.isArray(rules) ? rules.length : 0;
  return count === 1 ? "1 rule" : `${count} rules`;
}

async function readInUse(
  { run, variant }: IptablesOptions,
  family: Family,
  owner: Owner,
): Promise<Observed[]> {
  return firewallObjects(await listRules(run, family, variant), family, owner);
}

/**
 * What can't be read there can't be taken away, which harms nobody: the rules that are in use must not wait for it. So many a
 * kernel has one variant only.
 */
async function readOther({ run, other }: IptablesOptions, family: Family, owner: Owner): Promise<Observed[]> {
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
