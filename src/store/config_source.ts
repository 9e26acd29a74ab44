/**
 * Where a network configuration comes from when it does not stand in the store: a file, or a text.
 *
 * A source yields what it finds now, and again whenever that changes, until its signal is aborted; it never throws.
 * `readConfig` turns any source's texts into readings: parsed, each distinct problem once, and a configuration again after a
 * problem even where it is the old one.
 */
import { untilAborted } from "../async/abortable.ts";
import type { Clock } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import { osErrorCode, osErrorText } from "../system/os_error.ts";
import { parseNetworkConfig, unknownMembers } from "../model/parse_config.ts";
import type { ConfigReading } from "./store.ts";

export type ConfigText =
  | { readonly type: "text"; readonly text: string }
  /** `refused`, `state`: see `ConfigReading`. */
  | {
    readonly type: "problem";
    readonly error: string;
    readonly refused?: boolean;
    readonly state?: "absent" | "wrong";
  };

export interface ConfigSource {
  /** For logs: where the configuration stands. */
  readonly name: string;
  watch(signal: AbortSignal): AsyncIterable<ConfigText>;
}

/** How often the file is read again. It is not watched: the store's own files may stand beside it (`rows/sqlite_file.ts`). */
const POLL_MS = 1_000;
/** Editors empty a file before they fill it: let them finish. */
const SETTLE_MS = 50;

/** The configuration in a JSON file. An absent file is a problem, and found when it comes. */
export function fileConfigSource(path: string, clock: Clock): ConfigSource {
  return { name: path, watch: (signal) => watchFile(path, clock, signal) };
}

/** A configuration that never changes. */
export function literalConfigSource(text: string): ConfigSource {
  return {
    name: "a given text",
    async *watch(signal) {
      yield { type: "text", text };
      await untilAborted(signal);
    },
  };
}

/** The readings of a source. */
export async function* readConfig(source: ConfigSource, signal: AbortSignal): AsyncIterable<ConfigReading> {
  let last: ConfigReading | null = null;
  for await (const found of source.watch(signal)) {
    if (signal.aborted) return;
    const reading = found.type === "problem" ? found : toReading(found.text, source.name);
    if (last !== null && same(last, reading)) continue;
    last = reading;
    yield reading;
  }
}

function toReading(text: string, name: string): ConfigReading {
  try {
    return { type: "config", config: parseNetworkConfig(text), text, unread: unknownMembers(text) };
  } catch (error) {
    const what = `read the network configuration "${name}": ${messageOf(error)}`;
    return { type: "problem", error: what, state: "wrong" };
  }
}

function same(a: ConfigReading, b: ConfigReading): boolean {
  if (a.type === "problem" || b.type === "problem") {
    return a.type === "problem" && b.type === "problem" && a.error === b.error;
  }
  return a.text === b.text;
}

async function* watchFile(path: string, clock: Clock, signal: AbortSignal): AsyncGenerator<ConfigText> {
  let last: ConfigText | null = null;
  while (!signal.aborted) {
    const found: ConfigText = last === null ? readText(path) : await readSettled(path, last, clock, signal);
    if (last === null || !alike(found, last)) yield found;
    last = found;
    await clock.sleep(POLL_MS, signal).catch(() => {});
  }
}

/** What stands there now; where it has changed, what stands there a moment later. */
async function readSettled(
  path: string,
  last: ConfigText,
  clock: Clock,
  signal: AbortSignal,
): Promise<ConfigText> {
  const found = readText(path);
  if (alike(found, last)) return found;
  await clock.sleep(SETTLE_MS, signal).catch(() => {});
  return readText(path);
}

function alike(a: ConfigText, b: ConfigText): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function readText(path: string): ConfigText {
  try {
    return { type: "text", text: Deno.readTextFileSync(path) };
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound;
    const why = absent
      ? `there is no such file; write one, as in {"Network": "10.1.0.0/16"}`
      : `${osErrorText(error)}; ${wayToRead(error)}`;
    const what = `read the network configuration "${path}": ${why}`;
    return { type: "problem", error: what, ...(absent && { state: "absent" }) };
  }
}

function wayToRead(error: unknown): string {
  const otherPath = ["EISDIR", "ENOTDIR", "ENAMETOOLONG"].includes(osErrorCode(error) ?? "");
  return otherPath ? "give -net-config-path the path of a file" : "make it readable for this user";
}
