/**
 * A verb is a command beside the daemon: `flanneld status`. It is one line in main.ts's table and one module that exports
 * `run`; the module is loaded only when the verb is asked for, so that the daemon starts without them.
 */
import { UsageError } from "../model/errors.ts";
import { didYouMean } from "../model/nearest.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import type { Occupied } from "../model/occupied.ts";
import { quotedWord } from "./hide.ts";

/** What a verb gets from outside. */
export interface VerbIo {
  /** The words after the verb. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What this machine has for something else where subnets of a network would be; absent where that is nobody's business. */
  occupied?(config: NetworkConfig, subnetFile: string): Promise<readonly Occupied[]>;
  /** Writes to stdout as is: end lines yourself. */
  out(text: string): void;
  /** Writes to stderr as is. */
  err(text: string): void;
}

/** @returns the exit code: 0 done, 1 failed, 2 wrong usage; throws a Failure or UsageError for the latter two */
export type RunVerb = (io: VerbIo) => number | Promise<number>;

export interface Verb {
  /** For the help text: half a line, no full stop. */
  readonly summary: string;
  load(): Promise<VerbModule>;
}

export interface VerbModule {
  readonly run: RunVerb;
  /** What `--help` prints; ends in a newline. */
  readonly help: string;
  /** Words that `help VERB` takes behind it: what the verb can do. */
  readonly actions?: readonly string[];
}

export type VerbTable = Readonly<Record<string, Verb>>;

/** @throws UsageError where there is no such verb */
export function verbNamed(name: string, verbs: VerbTable): Verb {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb !== undefined) return verb;
  const hint = didYouMean(name, Object.keys(verbs));
  throw new UsageError(
    `run command ${quotedWord(name)}: no such command${hint || "; flanneld help lists all"}`,
  );
}

/** Whether a verb is asked for its help instead of its work. */
export function asksHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  return args[0] === "help" || before.some((word) => /^--?(h|help)(=.*)?$/s.test(word));
}

/** `help VERB [ACTION]`. @throws UsageError where there is no such */
export async function helpOn(words: readonly string[], verbs: VerbTable): Promise<string> {
  const [name = "", ...more] = words;
  const { help, actions = [] } = await verbNamed(name, verbs).load();
  const wrong = more.find((word, i) => i > 0 || !actions.includes(word));
  if (wrong === undefined) return help;
  const hint = didYouMean(wrong, actions) || `; flanneld help ${name} tells what there is`;
  throw new UsageError(`help on ${name} ${quotedWord(wrong)}: no such action${hint}`);
}
