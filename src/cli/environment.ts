/**
 * The FLANNELD_ variables, by upstream's rules: an empty one counts as unset, a list gets exactly one element, and a bad value
 * is passed over (with a warning). A name that no flag has is reported, since it is a typing error.
 */
import { type Flag, flags, type Value, variableOf } from "./flags.ts";
import { parseWord } from "./flag_values.ts";
import { quotedWord } from "./hide.ts";
import { didYouMean } from "../model/nearest.ts";

const prefix = "FLANNELD_";

export interface FromEnvironment {
  readonly values: ReadonlyMap<string, Value>;
  readonly warnings: readonly string[];
}

/** `-version` is looked at before the environment is, so its variable has no effect, as upstream. */
const settable = new Map(
  flags.filter((flag) => flag.name !== "version").map((flag) => [variableOf(flag), flag]),
);

export function parseEnvironment(environment: Readonly<Record<string, string>>): FromEnvironment {
  const values = new Map<string, Value>();
  const warnings: string[] = [];
  for (const [variable, word] of Object.entries(environment)) {
    if (!variable.startsWith(prefix) || word === "") continue;
    const flag = settable.get(variable);
    if (flag === undefined) {
      const hint = didYouMean(variable.slice(prefix.length), namesOf(settable.keys()), prefix);
      warnings.push(`read environment variable ${quotedWord(variable)}: no flag has this name${hint}`);
      continue;
    }
    const parsed = parseWord(flag, word);
    if ("value" in parsed) values.set(flag.name, parsed.value);
    else warnings.push(describeBad(flag, variable, word, parsed.reason));
  }
  return { values, warnings };
}

function namesOf(variables: Iterable<string>): string[] {
  return [...variables].map((variable) => variable.slice(prefix.length));
}

function describeBad(flag: Flag, variable: string, word: string, reason: string): string {
  const shown = quotedWord(flag.secret ? "…" : word);
  return `Failed to set flag -${flag.name} from env ${variable} ${shown}: ${reason}; passed over`;
}
