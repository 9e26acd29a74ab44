/**
 * Reading files of variables (dotenv grammar), with the tolerance that upstream's reader has: `export` in front, `:` in place
 * of `=`, comments, single and double quotes, and `$NAME` or `${NAME}` for what stands further up in the same file.
 * Lines that are none of this are skipped. Nothing is executed.
 *
 * The time is linear in the text and no value grows beyond a line of it: values that name others many times over are empty.
 */

/** Characters of a line, and of a value; longer ones are none of flanneld's, nor of any program that reads its files. */
const LONGEST = 4096;

/** The variables of the text; the last assignment wins. */
export function parseEnv(text: string): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const line of linesOf(text)) {
    const match = assignment(line);
    if (match?.[1] !== undefined) variables.set(match[1], readValue(match[2] ?? "", variables));
  }
  return variables;
}

/** The numbers of the lines that are skipped, from 1: neither empty nor a comment nor an assignment. */
export function strayLines(text: string): number[] {
  return linesOf(text).flatMap((line, i) =>
    /^\s*(#|$)/.test(line) || assignment(line) !== null ? [] : [i + 1]
  );
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/);
}

function assignment(line: string): RegExpExecArray | null {
  return line.length > LONGEST ? null : /^\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*[=:]\s*(.*)$/.exec(line);
}

function readValue(text: string, variables: ReadonlyMap<string, string>): string {
  const literal = /^'([^']*)'/.exec(text);
  if (literal?.[1] !== undefined) return literal[1];
  const quoted = /^"((?:\\.|[^"\\])*)"/.exec(text);
  if (quoted?.[1] !== undefined) return expand(quoted[1], variables).replace(/\\(.)/g, "$1");
  return expand(text.replace(/(^|\s+)#.*$/, "").trim(), variables);
}

function expand(text: string, variables: ReadonlyMap<string, string>): string {
  const value = text.replace(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (_, braced, plain) => variables.get(braced ?? plain) ?? "",
  );
  return value.length > LONGEST ? "" : value;
}
