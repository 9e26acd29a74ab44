/**
 * Words of a user's, made fit for a message: passwords in them are left out. Generous about what may be one: it is the
 * misplaced and the misspelt that end up in messages.
 */
import { type Flag, flagNamed, type Value } from "./flags.ts";

const HIDDEN = "…";
/** Characters of one word in a message. */
const LONGEST = 200;

/** A word of the command line; of a flag with a secret the name alone stays. */
export function shownWord(word: string): string {
  const name = /^-*([^=]*)/.exec(word)?.[1] ?? "";
  return isSecret(name) && word.includes("=")
    ? `${short(word.slice(0, word.indexOf("=") + 1))}${HIDDEN}`
    : short(word);
}

/** Several of them in a row, each quoted; what follows a flag with a secret may be the secret. */
export function shownWords(words: readonly string[]): string {
  const after = (i: number) => /^-+[^=]+$/.test(words[i - 1] ?? "") && isSecret(words[i - 1]!);
  return words.map((word, i) => JSON.stringify(after(i) ? HIDDEN : shownWord(word))).join(" ");
}

/** A flag's value, strings quoted. */
export function shownValue(flag: Flag, value: Value): string {
  if (flag.secret) return "(hidden)";
  const shown = flag.urls ? shownUrl : shownWord;
  return JSON.stringify(value, (_, part) => typeof part === "string" ? shown(part) : part);
}

/** An address without the user and password in front of its host. */
function shownUrl(text: string): string {
  return text.replace(/^((?:[\w+.-]+:\/\/)?).*@/s, "$1(hidden)@");
}

/** A message stays one that can be read. */
function short(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}${HIDDEN}` : text;
}

function isSecret(name: string): boolean {
  return flagNamed(name.replace(/^-+/, ""))?.secret === true || /pass|secret|token/i.test(name);
}
