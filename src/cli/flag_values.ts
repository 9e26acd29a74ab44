/**
 * Words to values, by the rules of Go's flag and strconv packages: which words are booleans, how the base of an integer is
 * told. The reasons begin as Go's do, so that messages are the ones that people search for.
 */
import { didYouMean } from "../model/nearest.ts";
import type { Flag, Value } from "./flags.ts";

export type Parsed = { readonly value: Value } | { readonly reason: string };

const notWhole = "parse error; give a whole number";
const outOfRange = "value out of range; give a smaller number";

const booleans = new Map<string, boolean>([
  ...["1", "t", "T", "true", "TRUE", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "false", "FALSE", "False"].map((word) => [word, false] as const),
]);

/** The value that `word` stands for, or why it stands for none. A list's value is its one new element. */
export function parseWord(flag: Flag, word: string): Parsed {
  const parsed = byKind(flag, word);
  const read = "reason" in parsed ? parsed : checked(flag, parsed.value);
  const damage = "reason" in read ? damageOf(word) : null;
  return damage === null ? read : { reason: damage };
}

/** What a value has that cannot be meant, with the way out; null where it has nothing such. */
export function damageOf(word: string): string | null {
  const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00a0]/u.exec(word)?.[0];
  if (hidden !== undefined) {
    const code = hidden.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    return `an invisible character (U+${code}) in it; type the value anew`;
  }
  return /^(["']).*\1$/.test(word) ? "its quotes are part of the value; leave them out" : null;
}

/** `value` where the flag's choices allow it. */
export function checked(flag: Flag, value: Value): Parsed {
  if (flag.choices !== undefined && !flag.choices.includes(String(value))) {
    const hint = didYouMean(String(value), flag.choices);
    return { reason: `must be ${flag.choices.join(", ").replace(/, ([^,]*)$/, " or $1")}${hint}` };
  }
  return { value };
}

function byKind(flag: Flag, word: string): Parsed {
  switch (flag.kind) {
    case "bool":
      return parseBool(word);
    case "int":
      return parseInteger(word);
    case "decimal":
      return parseDecimal(word);
    case "string":
      return { value: word };
    case "list":
      return { value: [word] };
  }
}

/** Go's twelve words. */
export function parseBool(word: string): Parsed {
  const value = booleans.get(word);
  return value === undefined ? { reason: "parse error; give true or false" } : { value };
}

/** An optional sign; then 0x, 0o, 0b or a leading 0 for octal; underscores only between digits or after the base prefix. */
function parseInteger(word: string): Parsed {
  const match = /^([+-]?)(0[xX]_?|0[oO]_?|0[bB]_?|0_?(?=\d)|)([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)$/.exec(word);
  if (match === null) return { reason: notWhole };
  const [, sign = "", prefix = "", digits = ""] = match;
  const base = baseOf(prefix);
  const text = digits.replaceAll("_", "");
  if (!digitsOf(base).test(text)) return { reason: notWhole };
  return whole(sign, parseInt(text, base)) ?? { reason: outOfRange };
}

function baseOf(prefix: string): number {
  if (prefix === "") return 10;
  const letter = prefix[1]?.toLowerCase();
  return letter === "x" ? 16 : letter === "b" ? 2 : 8;
}

function digitsOf(base: number): RegExp {
  return base === 16 ? /^[0-9a-f]+$/i : base === 10 ? /^\d+$/ : base === 8 ? /^[0-7]+$/ : /^[01]+$/;
}

function parseDecimal(word: string): Parsed {
  const match = /^([+-]?)(\d+)$/.exec(word);
  if (match === null) return { reason: notWhole };
  const value = Number(match[1] + match[2]!);
  const inRange = value >= -(2 ** 31) && value < 2 ** 31;
  return inRange ? { value: value + 0 } : { reason: outOfRange };
}

/** Null where the number is too large to be exact; none of our flags comes near. */
function whole(sign: string, magnitude: number): Parsed | null {
  if (!Number.isSafeInteger(magnitude)) return null;
  return { value: sign === "-" && magnitude !== 0 ? -magnitude : magnitude };
}
