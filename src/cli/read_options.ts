/**
 * Reads what the daemon is asked to do: flag > environment > TOML file > default.
 *
 * Nothing here touches the machine but through `Inputs`. A mistake in the command line or the file stops the start (exit code
 * 2); one in the environment is passed over with a warning, as upstream.
 */
import { UsageError } from "../model/errors.ts";
import { osErrorText } from "../system/os_error.ts";
import { flagNamed, flags, isDefault, type Value, variableOf } from "./flags.ts";
import { damageOf } from "./flag_values.ts";
import type { DaemonOptions, Settings, Source } from "./options.ts";
import { quotedWord, shownValue } from "./hide.ts";
import { CommandLineError, describeIgnored, parseArgs } from "./parse_args.ts";
import { parseEnvironment } from "./environment.ts";
import { type FromFile, parseToml } from "./toml.ts";
import { typed } from "./typed_options.ts";

/** The outside world, as far as options need it. */
export interface Inputs {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The text of a file, and whether somebody other than its owner may read it. Throws where it cannot be read. */
  readFile(path: string): { readonly text: string; readonly readableByOthers: boolean };
  /** Of a verb that takes the daemon's flags too: what else may have been meant. */
  readonly ownFlags?: readonly string[];
}

export type Request =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "run"; readonly options: DaemonOptions };

/** @throws UsageError (CommandLineError where flannel's own parser would stop) with one message for the user */
export function readOptions(inputs: Inputs): Request {
  const line = parseArgs(inputs.args, inputs.ownFlags);
  if (line.help) return { kind: "help" };
  const warnings = [...line.warnings];
  if (line.ignored.length > 0) {
    if (!wantsUpstreamExitCodes(inputs)) throw new CommandLineError(describeIgnored(line));
    warnings.push(describeIgnored(line));
  }
  if (line.values.get("version") === true) return { kind: "version" };
  const environment = parseEnvironment(inputs.environment);
  const path = line.values.get("config-file") ?? environment.values.get("config-file") ?? "";
  const file = readConfigFile(String(path), inputs);
  const settings = merge(line.values, environment.values, file.values);
  warnings.push(...environment.warnings, ...file.warnings, ...remarks(settings));
  refuseDamaged(settings);
  refuseUnbuilt(settings);
  return {
    kind: "run",
    options: { ...typed(settings), networkConfigText: file.networkConfigText, settings, warnings },
  };
}

/** For a verb, which answers `-help` and `-version` before. @throws UsageError */
export function readDaemonOptions(inputs: Inputs): DaemonOptions {
  const request = readOptions(inputs);
  if (request.kind === "run") return request.options;
  throw new UsageError(`read command line: -${request.kind} is not an option of this command; leave it out`);
}

/**
 * Whether flannel's exit codes are asked for, as far as can be told from a command line that may itself be wrong.
 */
export function wantsUpstreamExitCodes({ args, environment }: Pick<Inputs, "args" | "environment">): boolean {
  const flag = flagNamed("upstream-exit-codes")!;
  const onLine = args.some((word) => /^--?upstream-exit-codes(=(1|[tT]|true|TRUE|True))?$/.test(word));
  const variable = variableOf(flag);
  return onLine ||
    parseEnvironment({ [variable]: environment[variable] ?? "" }).values.get(flag.name) === true;
}

function readConfigFile(path: string, inputs: Inputs): FromFile & { readonly warnings: readonly string[] } {
  if (path === "") return { values: new Map(), networkConfigText: undefined, warnings: [] };
  let read;
  try {
    read = inputs.readFile(path);
  } catch (error) {
    throw new UsageError(`read config file ${quotedWord(path)}: ${osErrorText(error)}; check -config-file`);
  }
  const parsed = parseToml(path, read.text);
  const exposed = read.readableByOthers && flags.some((flag) => flag.secret && parsed.values.has(flag.name));
  const warning = `config file "${path}": holds a password and others can read it; chmod 600 it`;
  return { ...parsed, warnings: exposed ? [warning] : [] };
}

function merge(...sources: readonly ReadonlyMap<string, Value>[]): Settings {
  const names: readonly Source[] = ["flag", "environment", "file"];
  return new Map(flags.map((flag) => {
    const given = sources.map((source) => withoutBlanks(source.get(flag.name)));
    const from = given.findIndex((value) => value !== undefined);
    return [flag.name, { flag, value: given[from] ?? flag.default, source: names[from] ?? "default" }];
  }));
}

/** An empty element is a unit file's variable that is not set: as with flannel, a list of such was not given. */
function withoutBlanks(value: Value | undefined): Value | undefined {
  if (!isList(value)) return value;
  const said = value.filter((element) => element.trim() !== "");
  return said.length === 0 ? undefined : said;
}

function isList(value: Value | undefined): value is readonly string[] {
  return Array.isArray(value);
}

/** @throws UsageError where a value brought something along that nobody sees, or that a shell would have taken away */
function refuseDamaged(settings: Settings): void {
  for (const { flag, value, source } of settings.values()) {
    if (flag.secret || source === "default") continue;
    const words = typeof value === "object" ? value : typeof value === "string" ? [value] : [];
    for (const word of words) {
      const damage = damageOf(word);
      if (damage === null) continue;
      const from = source === "environment" ? ` (from ${variableOf(flag)})` : "";
      throw new UsageError(`use -${flag.name} ${quotedWord(word)}: ${damage}${from}`);
    }
  }
}

/** @throws UsageError for the first flag that asks for a part that does not exist */
function refuseUnbuilt(settings: Settings): void {
  for (const { flag, value } of settings.values()) {
    const refused = flag.built === false ? !isDefault(flag, value) : flag.unbuilt?.includes(String(value));
    if (refused) {
      throw new UsageError(
        `use -${flag.name} ${
          shownValue(flag, value)
        }: this release does not have that part; leave the flag out`,
      );
    }
  }
}

function remarks(settings: Settings): string[] {
  const out: string[] = [];
  for (const { flag, value, source } of settings.values()) {
    if (flag.ignored !== undefined && !isDefault(flag, value)) {
      out.push(`flag -${flag.name}: no effect, ${flag.ignored}`);
    }
    if (flag.secret && source === "flag") {
      const way = `give it as ${variableOf(flag)} or in -config-file`;
      out.push(`flag -${flag.name}: every user of this host can read it in the process list; ${way}`);
    }
  }
  return out;
}
