/**
 * JSON from outside (store values, files): bounded before it is parsed, and with what JSON.parse hides.
 *
 * - Length and nesting are checked on the text, so that no input can make the parser or a later walk recurse without end.
 * - Members called `__proto__` are dropped at every depth: no later copy of the value can reach a prototype.
 * - `24.0` and `1e1` are numbers to JSON.parse, but not to readers that want an integer; `written` gives their text.
 */
import { Failure, messageOf } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { invisibleCode } from "./shown.ts";

export interface JsonBounds {
  /** Characters of text. */
  readonly length: number;
  /** Objects and arrays inside each other. */
  readonly depth: number;
}

export interface ReadJson {
  readonly value: Json;
  /** The text of the number that is `holder`'s member `name`, as it was written; undefined where that is no number. */
  written(holder: JsonObject, name: string): string | undefined;
}

/**
 * Parses one JSON text and nothing after it.
 *
 * @throws Failure with the bare reason (`is not JSON: …`), which never quotes the text: it may hold secrets
 */
export function readJson(text: string, bounds: JsonBounds): ReadJson {
  checkBounds(text, bounds);
  const numbers = new Map<object, Map<string, string>>();
  const note = function (this: object, name: string, value: unknown, context?: { source?: string }): unknown {
    if (name === "__proto__") return undefined;
    if (typeof value === "number" && context?.source !== undefined) {
      remember(numbers, this, name, context.source);
    }
    return value;
  };
  const value = parse(text, note);
  return { value, written: (holder, name) => numbers.get(holder)?.get(name) };
}

/**
 * The same for thousands of texts whose numbers nobody looks at twice: several times faster.
 *
 * @throws Failure as `readJson` does
 */
export function parseJson(text: string, bounds: JsonBounds): Json {
  // Without a backslash, every name stands in the text as it is.
  if (text.includes("__proto__") || text.includes("\\")) return readJson(text, bounds).value;
  checkBounds(text, bounds);
  return parse(text);
}

function checkBounds(text: string, bounds: JsonBounds): void {
  if (text.length > bounds.length) {
    throw new Failure(`is too long: ${text.length} characters, at most ${bounds.length} are read`);
  }
  const depth = nesting(text);
  if (depth > bounds.depth) {
    throw new Failure(`is nested too deeply: at most ${bounds.depth} levels are read`);
  }
}

function parse(text: string, reviver?: (this: object, name: string, value: unknown) => unknown): Json {
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    throw new Failure(`is not JSON: ${withoutQuote(messageOf(error))}`);
  }
}

function remember(
  numbers: Map<object, Map<string, string>>,
  holder: object,
  name: string,
  source: string,
): void {
  const names = numbers.get(holder) ?? new Map<string, string>();
  names.set(name, source);
  numbers.set(holder, names);
}

/** The deepest nesting of brackets outside strings. Exact for JSON; for anything else JSON.parse says no anyway. */
function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (quoted && c === BACKSLASH) i++;
    else if (c === QUOTE) quoted = !quoted;
    else if (quoted) continue;
    else if (c === BRACE || c === BRACKET) deepest = Math.max(deepest, ++depth);
    // Both closing ones stand two further on in ASCII.
    else if (c === BRACE + 2 || c === BRACKET + 2) depth--;
  }
  return deepest;
}

const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);
const BRACE = "{".charCodeAt(0);
const BRACKET = "[".charCodeAt(0);

/** V8 quotes the text around the error; its position is enough. A character that nobody sees is named. */
function withoutQuote(message: string): string {
  return message.replace(/, (\.\.\.)?".*is not valid JSON$/s, "")
    .replace(/^".*" is not valid JSON$/s, "not a value")
    .replace(/^Unexpected token '(.)'$/su, (whole, char) => {
      const code = invisibleCode(char);
      return code === null ? whole : `there is an invisible character (${code}) in it`;
    });
}
