/**
 * The log before its options could be read, and the end of a daemon: a collector that reads JSON gets JSON also for a command
 * line that is wrong. In `text` on a terminal that is the message alone, as any command's.
 */
import { Failure, LeaseLost, messageOf } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { createLog, type LogFormat, logFormats } from "../observe/writers.ts";
import { visible } from "../observe/visible.ts";
import { systemClock } from "../system/clock.ts";
import { isJournal } from "../system/journal.ts";
import { writeStderr } from "../system/output.ts";
import { parse } from "@std/toml";
import { CommandLineError } from "./parse_args.ts";
import type { Inputs } from "./read_options.ts";

/** The log that the daemon writes to standard error. */
export function openLog(
  { logFormat: format, v: verbosity }: { readonly logFormat: LogFormat; readonly v: number },
  environment: Inputs["environment"],
): Log {
  const journal = isJournal(environment.JOURNAL_STREAM);
  return createLog({ format, verbosity, journal, clock: systemClock() });
}

/** For what is wrong with the options themselves. */
export function earlyLog(inputs: Inputs): Log {
  const format = wantedFormat(inputs);
  if (format !== "text" || isJournal(inputs.environment.JOURNAL_STREAM)) {
    return openLog({ logFormat: format, v: 0 }, inputs.environment);
  }
  const line = (text: string) => writeStderr(`${visible(text)}\n`);
  return { debug: () => {}, info: line, warn: line, error: line };
}

/** The format that is asked for, as far as can be told from options that may themselves be wrong. */
export function wantedFormat(inputs: Inputs): LogFormat {
  const told = [wordOf("log-format", inputs), fromFile(inputs)];
  return logFormats.find((format) => format === told.find((word) => word !== undefined)) ?? "text";
}

/** The last one on the command line, else the variable's. */
function wordOf(name: string, { args, environment }: Inputs): string | undefined {
  const words = args.flatMap((word, i) => {
    const match = new RegExp(`^--?${name}(?:=(.*))?$`, "s").exec(word);
    return match === null ? [] : [match[1] ?? args[i + 1] ?? ""];
  });
  return words.at(-1) ?? (environment[`FLANNELD_${name.toUpperCase().replaceAll("-", "_")}`] || undefined);
}

function fromFile(inputs: Inputs): string | undefined {
  const path = wordOf("config-file", inputs);
  if (path === undefined || path === "") return undefined;
  try {
    const value = parse(inputs.readFile(path).text)["log-format"];
    return typeof value === "string" ? value : undefined;
  } catch {
    // What is wrong with the file is said elsewhere.
    return undefined;
  }
}

/**
 * Says why the daemon ends: a Failure is its message alone, anything else is ours and comes with the place.
 *
 * @param upstream flannel's exit codes are asked for
 * @returns the exit code
 */
export function tellEnd(error: unknown, log: Pick<Log, "error">, upstream: boolean): number {
  if (!(error instanceof Failure)) {
    const place = error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error);
    log.error(`internal error: ${place.replace(/\s*\n\s*/g, " ")}`, { exitCode: 1, error: messageOf(error) });
    return 1;
  }
  const code = upstream ? upstreamCode(error) : error.exitCode;
  log.error(error.message, { exitCode: code });
  return code;
}

function upstreamCode(error: Failure): number {
  return error instanceof CommandLineError || error instanceof LeaseLost ? 0 : 1;
}

/** What nobody has caught is said in the log's form too, and ends the process as it does anyway. */
export function tellUncaught(log: Log): void {
  const end = (event: Event, error: unknown) => {
    event.preventDefault();
    Deno.exit(tellEnd(error, log, false));
  };
  globalThis.addEventListener("error", (event) => end(event, event.error));
  globalThis.addEventListener("unhandledrejection", (event) => end(event, event.reason));
}
