/**
 * A verb is a command beside the daemon: `flanneld status`. It is one line in main.ts's table and one module that exports
 * `run`; the module is loaded only when the verb is asked for, so that the daemon starts without them.
 */
import { UsageError } from "../model/errors.ts";
import { didYouMean } from "../model/nearest.ts";

/** What a verb gets from outside. */
export interface VerbIo {
  /** The words after the verb. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
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
  load(): Promise<{ readonly run: RunVerb }>;
}

export type VerbTable = Readonly<Record<string, Verb>>;

/** @throws UsageError where there is no such verb */
export function verbNamed(name: string, verbs: VerbTable): Verb {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb !== undefined) return verb;
  const hint = didYouMean(name, Object.keys(verbs));
  throw new UsageError(`run command "${name}": no such command${hint}\nrun flanneld -help for all commands`);
}
