/** The commands of shell scripts, as far as they can be told without running them. */
import { assertEquals } from "@std/assert";
import { commandsOf } from "../support/shell_words.ts";

const cases: readonly (readonly [script: string, ...commands: string[]])[] = [
  ["ip link set lo up; echo 1 > /proc/x", "ip", "echo"],
  ["a && b || c | d & e", "a", "b", "c", "d", "e"],
  ["X=1 Y='a b' a b # c; d", "a"],
  ["a 'b; c' \"d; e\" f\\; g", "a"],
  ["if ! a; then b; elif c; then d; else e; fi", "a", "b", "c", "d", "e"],
  ["for x in a b; do c; done > d", "c"],
  [
    "while read -r _ point _; do\n  case $point in /a* | /b*) continue ;; esac\ndone < /x",
    "read",
    "continue",
  ],
  ["(a; b) | { c; }", "a", "b", "c"],
  ["x=$(a $(b) | c)", "b", "a", "c"],
  ['a "$(b --c)" `d e`', "b", "d", "a"],
  ["f() { a; }\nf b", "a"],
  ["a 2>&1 > b < c; > d e", "a", "e"],
  ["a <<END\nb c\nEND\nd", "a", "d"],
  ["a <<'END' | b\nc\n\td\nEND\ne", "a", "b", "e"],
  ["a \\\n  b\nc", "a", "c"],
  ["[ -d /run ] || { a; }", "[", "a"],
  ['$x a; "$@"; ${y%/*} b', "?", "?", "?"],
  ["a $((1 + (2 * 3))) ${x:-$y}; b", "a", "b"],
];

for (const [script, ...programs] of cases) {
  Deno.test(`the commands of ${JSON.stringify(script)}`, () => {
    assertEquals(commandsOf(script).map(([program]) => program ?? "?"), programs);
  });
}

Deno.test("words without their quotes; null for what only a run knows", () => {
  assertEquals(commandsOf(`sh -c 'a "b"' "$c" d"e"f $((1))`), [["sh", "-c", 'a "b"', null, "def", null]]);
});
