/**
 * Reading the output of `iptables-save`.
 *
 * The format: `*table`, then `:CHAIN POLICY [packets:bytes]` for each chain, then `-A CHAIN rule…` with counters in front when
 * asked for, then `COMMIT`. Policies and counters are left out: they are not ours to compare. Lines that are not understood
 * (comments, warnings about the other variant's rules) are skipped.
 */

/** Rules by chain, in order, as text behind `-A CHAIN `; chains by table. */
export type SavedRules = ReadonlyMap<string, SavedTable>;
export type SavedTable = ReadonlyMap<string, readonly string[]>;

/** Every table in the text; a table or chain that is not there is absent, an empty chain has no rules. */
export function parseSaved(text: string): SavedRules {
  const tables = new Map<string, Map<string, string[]>>();
  let table = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [word = "", name = ""] = line.split(" ", 2);
    if (word.startsWith("*")) tables.set(word.slice(1), table = new Map());
    else if (word.startsWith(":")) table.set(word.slice(1), []);
    else if (name !== "") addRule(table, line);
  }
  return tables;
}

function addRule(table: Map<string, string[]>, line: string): void {
  const match = /^(?:\[\d+:\d+\] )?-A (\S+) (.*)$/.exec(line);
  if (match?.[1] !== undefined && match[2] !== undefined) table.get(match[1])?.push(normalRule(match[2]));
}

/**
 * A rule in one spelling: single blanks between words, quotes only around words that need them. Versions of iptables differ
 * in both.
 */
export function normalRule(rule: string): string {
  return ruleWords(rule).map(quoted).join(" ");
}

/** The words of a rule, quotes and backslashes resolved; a quote that nothing closes goes to the end. One pass. */
export function ruleWords(rule: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let inside = false;
  for (let i = 0; i < rule.length; i++) {
    const c = rule[i]!;
    if (c === '"') {
      inside = !inside;
      word ??= "";
    } else if (inside || !/\s/.test(c)) {
      if (inside && c === "\\" && i + 1 < rule.length) i++;
      word = (word ?? "") + rule[i];
    } else {
      if (word !== null) words.push(word);
      word = null;
    }
  }
  return word === null ? words : [...words, word];
}

function quoted(word: string): string {
  return /^[\w!#$%&()*+,./:;<=>?@[\]^{|}~-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`;
}
