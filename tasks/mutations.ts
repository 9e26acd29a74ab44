/**
 * The mutations as a task: `deno task mutations [ROW | WORD]...`: the product with one line broken, again and again; each time
 * the test that is meant must turn red. A number is a row of docs/known-failures.md; another word is part of a name.
 */
import { parseArgs } from "@std/cli";
import { deno, say, top } from "./run.ts";

function pattern(words: readonly string[]): string {
  const parts = words.map((word) =>
    /^\d+$/.test(word) ? `row ${word}:` : word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
  );
  return `/(${parts.join("|")})/`;
}

const { _: words } = parseArgs(Deno.args, {
  string: ["_"],
  unknown: (word) => {
    if (!word.startsWith("-")) return;
    say(`mutations "${word}": no such option; give rows of docs/known-failures.md or parts of names`);
    Deno.exit(2);
  },
});
const filter = words.length === 0 ? [] : ["--filter", pattern(words.map(String))];
const args = ["run", "-A", "tasks/test.ts", "mutations", ...filter];
const { code } = await new Deno.Command(deno, { args, cwd: top, stdin: "null" }).spawn().status;
Deno.exit(code);
