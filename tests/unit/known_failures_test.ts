/** docs/known-failures.md is held to its word: all 44 cases in their order, each test that it names is in the file that it names. */
import { assert, assertEquals } from "@std/assert";

const top = new URL("../../", import.meta.url).pathname;
const rows = Deno.readTextFileSync(`${top}docs/known-failures.md`).split("\n").filter((line) =>
  /^\| +\d+ /.test(line)
)
  .map((line) => line.split("|").map((cell) => cell.trim()));

Deno.test("known failures: 44 cases, each with an answer and a test, or open", () => {
  assertEquals(rows.map(([, number]) => Number(number)), Array.from({ length: 44 }, (_, i) => i + 1));
  for (const [, number, what = "", answer = "", test = ""] of rows) {
    assert(what !== "" && answer !== "", `case ${number} says nothing`);
    assert(
      test === "open" || /^`tests\/\S+\.ts: .+`$/.test(test),
      `case ${number} is neither shown nor open: ${test}`,
    );
    assertEquals(test === "open", /\bopen\b/.test(answer) && !test.startsWith("`"), `case ${number}`);
  }
});

Deno.test("known failures: every test that is named is there", () => {
  for (const [, number, , , test = ""] of rows) {
    const [, file, name] = /^`(tests\/\S+\.ts): (.+)`$/.exec(test) ?? [];
    if (file === undefined || name === undefined) continue;
    const source = Deno.readTextFileSync(top + file);
    assert(source.includes(name), `case ${number}: ${file} has no test "${name}"`);
  }
});
