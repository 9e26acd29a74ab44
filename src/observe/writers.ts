/**
 * The log's three formats: `text` for people, `klog` for tools that read upstream's logs, `json` for programs. One line an event
 * in each, whatever the message holds: control characters are escaped, since parts of messages come from the store. A
 * message says all of it, so that fields stand in `json` alone.
 */
import type { Clock } from "../model/clock.ts";
import { writeStderr } from "../system/output.ts";
import type { Level, Log, LogFields } from "./log.ts";
import { visible } from "./visible.ts";

export const logFormats = ["text", "klog", "json"] as const;
export type LogFormat = (typeof logFormats)[number];

export interface LogOptions {
  readonly format: LogFormat;
  /** Debug messages appear from 1 on, as upstream's `-v`. */
  readonly verbosity: number;
  /** The journal listens: `text` then has its priorities (`<4>`) and leaves the time to it. */
  readonly journal?: boolean;
  /** Takes one line, its end included. Must not throw. Standard error unless told. */
  readonly write?: (line: string) => void;
  readonly clock: Clock;
}

interface Event {
  readonly time: Date;
  readonly level: Level;
  readonly message: string;
  readonly fields: LogFields;
}

export function createLog(
  { format, verbosity, journal = false, write = writeStderr, clock }: LogOptions,
): Log {
  const line = lines[format === "text" && journal ? "journal" : format];
  const at = (level: Level) => (message: string, fields: LogFields = {}) => {
    if (level === "debug" && verbosity < 1) return;
    write(`${line({ time: new Date(clock.wall()), level, message, fields })}\n`);
  };
  return {
    verbose: verbosity >= 1,
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  };
}

const lines: Readonly<Record<LogFormat | "journal", (event: Event) => string>> = {
  text: ({ time, level, message }) => `${time.toISOString()} ${level.padEnd(5)} ${visible(message)}`,
  journal: ({ level, message }) => `<${priorities[level]}>${visible(message)}`,
  klog: (event) => `${klogHeader(event)} ${visible(event.message)}`,
  json: ({ time, level, message, fields }) =>
    // JSON leaves some control characters as they are; our escape is also JSON's.
    visible(JSON.stringify({ time: time.toISOString(), level, message, ...renamed(fields) })),
};

/** syslog's, by which `journalctl -p warning` selects. */
const priorities: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** `Lmmdd hh:mm:ss.uuuuuu PPPPPPP file:line]`, local time. There is no file to name: the program stands in its place. */
function klogHeader({ time, level }: Event): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const letter = level === "error" ? "E" : level === "warn" ? "W" : "I";
  const day = two(time.getMonth() + 1) + two(time.getDate());
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  const micros = `${String(time.getMilliseconds()).padStart(3, "0")}000`;
  return `${letter}${day} ${clock}.${micros} ${String(Deno.pid).padStart(7)} flanneld:1]`;
}

/** Fields whose names the format needs itself get a trailing underscore. */
function renamed(fields: LogFields): LogFields {
  const own = ["time", "level", "message"];
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [own.includes(name) ? `${name}_` : name, value]),
  );
}
