/**
 * The commands of a shell script, as far as one can tell without running it: words in the place of a command, at any depth of
 * `$(…)`, loops and conditions. For looking through sources: what it does not understand it leaves out. Pure.
 *
 * A command is a list of words; null stands for a word that only a run knows (`$program`, `${name}` of a template).
 */

export type Words = readonly (string | null)[];

/** What a word of a template stands for before it is known. */
export const UNKNOWN = "\u0001";

/** Between commands, among their words. */
const END = "\n";

const KEYWORDS = new Set(["if", "then", "elif", "else", "while", "until", "do", "{", "!", "time"]);
/** What begins words that are no command, and what may stand alone. */
const NO_COMMAND = new Set(["for", "case", "fi", "done", "esac", "}", "in"]);

/** Every command of `script`, those inside `$(…)` first. */
export function commandsOf(script: string): Words[] {
  return commandsAmong(script, new Set([...script.matchAll(/^\s*(\w+)\s*\(\)/gm)].map((match) => match[1]!)));
}

function commandsAmong(script: string, functions: ReadonlySet<string>): Words[] {
  const found: Words[] = [];
  let words: string[] = [];
  for (const token of [...tokens(script, (inner) => found.push(...commandsAmong(inner, functions))), null]) {
    if (token !== null) words.push(token);
    if (token !== null && token !== END) continue;
    found.push(...commandIn(words.filter((word) => word !== END), functions));
    words = [];
  }
  return found;
}

/** The command among the words between two ends, without keywords, assignments and redirections. */
function commandIn(words: readonly string[], functions: ReadonlySet<string>): Words[] {
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at]!;
    if (NO_COMMAND.has(word)) return [];
    if (/^\d*[<>]+&?$/.test(word)) at++;
    else if (!KEYWORDS.has(word) && !/^\w+(\+?=|\(\)$)|^\d*[<>]/.test(word)) break;
  }
  const command = words.slice(at);
  if (command.length === 0 || functions.has(command[0]!)) return [];
  return [command.map((word) => word.includes(UNKNOWN) ? null : word)];
}

/** The words without their quotes, and `END` between commands; `inner` is told of every command substitution. */
function* tokens(script: string, inner: (script: string) => void): Generator<string> {
  const text = withoutPatterns(withoutDocuments(script.replaceAll("\\\n", " ")));
  // A comment; a substitution; one in backquotes; quotes; what stands for itself; what ends a command; blanks; anything else.
  const part =
    /(?<![^\s;&|(])#.*|\$\(\(|\$\(|\$\{|`([^`]*)`|'([^']*)'|"((?:[^"\\$]|\\[^]|\$\((?:[^()]|\([^()]*\))*\)|\$)*)"|\\([^])|(\$\w+|\$[@*#?$!-])|(\d*[<>]+&?)|\(\)|([;&|\n()])|(\s+)|[^]/g;
  let word = "";
  let open = false;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    const [all, backquoted, single, double, escaped, variable, redirection, ends, blank] = match;
    if (all.startsWith("#") && all.length > 0 && !open) continue;
    if (blank !== undefined || ends !== undefined || redirection !== undefined) {
      if (open) yield word;
      if (ends !== undefined) yield END;
      if (redirection !== undefined) yield redirection;
      [word, open] = ["", false];
      continue;
    }
    open = true;
    if (/^\$[({]/.test(all)) {
      const end = matching(text, match.index + 1);
      if (all === "$(") inner(text.slice(match.index + 2, end));
      part.lastIndex = end + 1;
      word += UNKNOWN;
    } else if (backquoted !== undefined) {
      inner(backquoted);
      word += UNKNOWN;
    } else if (double !== undefined) {
      for (const found of double.matchAll(/\$\(((?:[^()]|\([^()]*\))*)\)/g)) inner(found[1]!);
      word += double.replace(/\$[\w({@*].*/s, UNKNOWN);
    } else if (variable !== undefined) word += UNKNOWN;
    else word += single ?? escaped ?? all;
  }
  if (open) yield word;
}

/** Where the bracket at `at` is closed. */
function matching(text: string, at: number): number {
  const [open, close] = text[at] === "(" ? ["(", ")"] : ["{", "}"];
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if (text[i] === open) depth++;
    if (text[i] === close && --depth === 0) return i;
  }
  return text.length;
}

/** Without the lines of here-documents. */
function withoutDocuments(text: string): string {
  return text.replace(/(<<-?\s*(['"]?)(\w+)\2[^\n]*)\n(?:[^]*?\n)??[ \t]*\3(?=\n|$)/g, "$1");
}

/** Without the patterns of `case`. */
function withoutPatterns(text: string): string {
  return text.replace(/(\bin|;;)\s*\(?\s*[^\s()|]+(?:\s*\|\s*[^\s()|]+)*\s*\)/g, "$1\n");
}
