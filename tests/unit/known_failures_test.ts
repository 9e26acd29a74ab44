/**
 * docs/known-failures.md is held to its word: all 44 cases in their order, each test that it names is in the file that it
 * names, and each has a mutation that shows that the test can fail (tests/mutations/known_failures.ts).
 */
import { assert, assertEquals } from "@std/assert";
import { damages, pageRows, rowMutations, shown } from "../mutations/known_failures.ts";

const top = new URL("../../", import.meta.url).pathname;
const rows = pageRows();

Deno.test("known failures: 44 cases, each with an answer and a test, or open", () => {
  assertEquals(rows.map(([number]) => Number(number)), Array.from({ length: 44 }, (_, i) => i + 1));
  for (const [number, what = "", answer = "", test = ""] of rows) {
    assert(what !== "" && answer !== "", `case ${number} says nothing`);
    assert(
      test === "open" || /^`tests\/\S+\.ts: .+`$/.test(test),
      `case ${number} is neither shown nor open: ${test}`,
    );
    assertEquals(test === "open", /\bopen\b/.test(answer) && !test.startsWith("`"), `case ${number}`);
  }
});

Deno.test("known failures: every test that is named is there", () => {
  for (const { row, test, filter } of shown(rows)) {
    assert(
      Deno.readTextFileSync(top + test).includes(filter),
      `case ${row}: ${test} has no test "${filter}"`,
    );
  }
});

Deno.test("known failures: every row has a mutation for the very test that it names, and no row that is open", () => {
  const rowsShown = shown(rows).map(({ row }) => row);
  const own = damages.filter(({ test }) => test === undefined).map(({ row }) => row);
  assertEquals([...new Set(own)].sort((a, b) => a - b), rowsShown);
  assertEquals(damages.filter(({ row }) => !rowsShown.includes(row)), []);
  assertEquals(rowMutations().length, damages.length);
});
