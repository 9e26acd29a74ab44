/**
 * Patterns of `-iface-regex`. Users write them for RE2, whose syntax differs from JavaScript's in a few places: flags in front
 * of the whole pattern, named groups, anchors of the whole text, POSIX classes. Those are translated; what neither knows is
 * an error, never a silent mismatch. Matching is unanchored, as it is in upstream.
 */
import { messageOf, UsageError } from "../model/errors.ts";
import { shorten } from "../model/shown.ts";

const posixClasses: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  digit: "0-9",
  lower: "a-z",
  upper: "A-Z",
  space: "\\s",
  xdigit: "0-9A-Fa-f",
  word: "\\w",
};

/** @throws UsageError `parse interface regex "…": <why>; <way out>` */
export function interfacePattern(text: string): RegExp {
  const [, flags = "", body = ""] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(text) ?? [];
  try {
    return new RegExp(translate(body), flags);
  } catch (thrown) {
    const why = messageOf(thrown).replace(/^Invalid regular expression: .*: /, "");
    throw new UsageError(`parse interface regex "${shorten(text, 100)}": ${why}; correct -iface-regex`);
  }
}

function translate(body: string): string {
  return body.replace(/\\(.)|\[:(\w+):\]|\(\?P</gs, (found, escaped?: string, posix?: string) => {
    if (escaped !== undefined) return escape(escaped);
    if (posix === undefined) return "(?<";
    const members = posixClasses[posix];
    if (members === undefined) throw new SyntaxError(`unknown character class "${found}"`);
    return members;
  });
}

function escape(letter: string): string {
  if (letter === "A") return "^";
  if (letter === "z") return "$";
  if (/[CQEpP1-9]/.test(letter)) throw new SyntaxError(`"\\${letter}" is not supported`);
  return `\\${letter}`;
}
