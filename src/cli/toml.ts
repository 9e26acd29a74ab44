/**
 * The TOML file of `--config-file`: keys are flag names, values have the flag's type, and the table `[network]` is the network
 * configuration of the embedded store, member for member what etcd would hold as JSON. Nothing is passed over silently: an
 * unknown key or a wrong type is an error.
 */
import { parse, TomlError } from "@std/toml";
import { messageOf, UsageError } from "../model/errors.ts";
import { type Flag, flagNamed, flags, type Value } from "./flags.ts";
import { checked } from "./flag_values.ts";
import { quotedWord } from "./hide.ts";
import { didYouMean } from "../model/nearest.ts";

export interface FromFile {
  readonly values: ReadonlyMap<string, Value>;
  /** `[network]` as JSON text. */
  readonly networkConfigText: string | undefined;
}

/** Flags that make no sense inside the file. */
const notInFile: ReadonlySet<string> = new Set(["config-file", "version"]);

/** @throws UsageError, naming `path` and the line or key */
export function parseToml(path: string, text: string): FromFile {
  const values = new Map<string, Value>();
  let networkConfigText: string | undefined;
  for (const [key, value] of Object.entries(read(path, text))) {
    if (key === "network") networkConfigText = asJson(path, value);
    else values.set(key, flagValue(path, key, value));
  }
  return { values, networkConfigText };
}

function read(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`read config file "${path}": ${placeOf(error)}`);
  }
}

/** Without the lines around the mistake, which the parser's message ends with: a password may stand in them. */
function placeOf(error: unknown): string {
  const [first = ""] = messageOf(error).split("\n");
  const what = first.replace(/^Invalid TOML document: /, "");
  return error instanceof TomlError ? `line ${error.line}, column ${error.column}: ${what}` : what;
}

function flagValue(path: string, key: string, value: unknown): Value {
  const flag = flagNamed(key);
  if (flag === undefined || notInFile.has(key)) {
    const names = flags.map((each) => each.name).filter((name) => !notInFile.has(name));
    const hint = didYouMean(key, [...names, "network"]) || "; keys are flag names, see flanneld -help";
    throw new UsageError(`read config file "${path}": unknown key ${quotedWord(key)}${hint}`);
  }
  const typed = ofType(flag, value);
  if (typed === null) {
    throw new UsageError(`read config file "${path}": key "${key}" must be ${wanted(flag)}`);
  }
  const result = checked(flag, typed);
  if ("value" in result) return result.value;
  const shown = quotedWord(flag.secret ? "…" : String(value));
  throw new UsageError(`read config file "${path}": key "${key}" is ${shown}: ${result.reason}`);
}

/** The value with the flag's type, or null. Endpoints may be written as a list, a list of one as a string. */
function ofType(flag: Flag, value: unknown): Value | null {
  switch (flag.kind) {
    case "bool":
      return typeof value === "boolean" ? value : null;
    case "int":
    case "decimal":
      return Number.isSafeInteger(value) ? value as number : null;
    case "list":
      return typeof value === "string" ? [value] : isStrings(value) ? value : null;
    case "string":
      if (flag.name === "etcd-endpoints" && isStrings(value)) return value.join(",");
      return typeof value === "string" ? value : null;
  }
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function wanted(flag: Flag): string {
  const words = {
    bool: "true or false",
    int: "a whole number",
    decimal: "a whole number",
    list: "a list of strings",
    string: flag.name === "etcd-endpoints" ? "a string or a list of strings" : "a string",
  };
  return words[flag.kind];
}

function asJson(path: string, value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError(`read config file "${path}": "network" must be a table, [network]`);
  }
  return JSON.stringify(value);
}
