/**
 * A verb's own options, by the daemon's rules: one dash or two, `=` or the next word for a value, a switch takes a value only
 * with `=`. What is not the verb's own is left in its place, for the daemon's flags and files.
 */
import { UsageError } from "../model/errors.ts";
import { parseBool } from "./flag_values.ts";
import { quotedWord } from "./hide.ts";
import { didYouMean } from "../model/nearest.ts";

export type Table<Name extends string> = Readonly<Record<Name, "switch" | "value">>;

export interface Taken<Name extends string> {
  readonly values: ReadonlyMap<Name, string>;
  /** Those that are on. */
  readonly on: ReadonlySet<Name>;
  readonly rest: readonly string[];
}

/** @param verb for messages. The last of several counts. @throws UsageError */
export function takeFlags<Name extends string>(
  verb: string,
  args: readonly string[],
  table: Table<Name>,
): Taken<Name> {
  const values = new Map<Name, string>();
  const on = new Set<Name>();
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!;
    if (word === "--") return { values, on, rest: [...rest, ...args.slice(i)] };
    const [, name = "", inline] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (!isOne(table, name)) rest.push(word);
    else if (table[name] === "value") values.set(name, inline ?? following(verb, name, args[++i]));
    else if (isOn(verb, name, inline)) on.add(name);
    else on.delete(name);
  }
  return { values, on, rest };
}

/** @throws UsageError for the first word, where there is one: this verb takes none beside its options */
export function refuseRest<Name extends string>(
  verb: string,
  rest: readonly string[],
  table: Table<Name>,
): void {
  const [word] = rest;
  if (word === undefined) return;
  const names = Object.keys(table);
  const long = names.filter((name) => name.length > 1);
  const hint = word.startsWith("-")
    ? didYouMean(word.replace(/^-+|=.*$/gs, ""), long, "--") || `; there are ${listed(names)}`
    : "; it takes options alone";
  const what = word.startsWith("-") ? "no such option" : "a word too many";
  throw new UsageError(`${verb} ${quotedWord(word)}: ${what}${hint} (see flanneld ${verb} --help)`);
}

function isOne<Name extends string>(table: Table<Name>, name: string): name is Name {
  return Object.hasOwn(table, name);
}

function following(verb: string, name: string, word: string | undefined): string {
  if (word !== undefined) return word;
  throw new UsageError(`${verb} --${name}: its value is missing; write --${name}=VALUE`);
}

function isOn(verb: string, name: string, word = "true"): boolean {
  const parsed = parseBool(word);
  if ("value" in parsed) return parsed.value === true;
  throw new UsageError(`${verb} --${name} ${quotedWord(word)}: not true or false; a switch stands alone`);
}

function listed(names: readonly string[]): string {
  return names.map((name) => `${name.length === 1 ? "-" : "--"}${name}`).join(", ");
}
