/**
 * Words of a user's, made fit for a message: passwords in them are left out. Generous about what may be one: it is the
 * misplaced and the misspelt that end up in messages.
 */
import { shorten } from "../model/shown.ts";
import { type Flag, flagNamed, type Value } from "./flags.ts";

const HIDDEN = "…";
/** Characters of one word in a message. */
const LONGEST = 200;
/** Of one among several. */
const LONGEST_OF_SEVERAL = 100;
/** Words of a list in a message. */
const MOST = 5;

/** A word of the command line; of a flag with a secret the name alone stays. */
export function shownWord(word: string): string {
  const name = /^-*([^=]*)/.exec(word)?.[1] ?? "";
  return isSecret(name) && word.includes("=")
    ? `${short(word.slice(0, word.indexOf("=") + 1))}${HIDDEN}`
    : short(word);
}

/** The first few of them in a row, each quoted; what follows a flag with a secret may be the secret. */
export function shownWords(words: readonly string[]): string {
  const after = (i: number) => /^-+[^=]+$/.test(words[i - 1] ?? "") && isSecret(words[i - 1]!);
  const shown = words.slice(0, MOST).map((word, i) =>
    quotedWord(after(i) ? HIDDEN : word, LONGEST_OF_SEVERAL)
  );
  const more = words.length - shown.length;
  return `${shown.join(" ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** A flag's value, strings quoted. */
export function shownValue(flag: Flag, value: Value): string {
  if (flag.secret) return "(hidden)";
  const shown = flag.urls ? shownUrl : shownWord;
  return JSON.stringify(value, (_, part) => typeof part === "string" ? shown(part) : part);
}

/** An address without the user and password in front of its host. */
function shownUrl(text: string): string {
  return short(text.replace(/^((?:[\w+.-]+:\/\/)?).*@/s, "$1(hidden)@"));
}

/** A word in quotes, cut after it is quoted (a control character takes six) and closed again. */
export function quotedWord(word: string, most = LONGEST): string {
  const text = JSON.stringify(shownWord(word));
  return text.length > most ? `${shorten(text, most)}"` : text;
}

function short(text: string): string {
  return shorten(text, LONGEST);
}

function isSecret(name: string): boolean {
  return flagNamed(name.replace(/^-+/, ""))?.secret === true || /pass|secret|token/i.test(name);
}
