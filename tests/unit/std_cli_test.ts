/** The argument adapter gives what `@std/cli` gives for the same words. */
import { assertEquals } from "@std/assert";
import { parseArgs, type ParseOptions } from "@std/cli";

type Case = [words: string, options: ParseOptions<string, string, string>, expected: Record<string, unknown>];

const cases: Case[] = [
  ["--foo --bar=baz ./quux.txt", {}, { _: ["./quux.txt"], foo: true, bar: "baz" }],
  ["--n 5 7 x", {}, { _: [7, "x"], n: 5 }],
  ["--json status", { boolean: ["json"] }, { _: ["status"], json: true }],
  ["status", { boolean: ["json"] }, { _: ["status"], json: false }],
  ["--json=false", { boolean: "json" }, { _: [], json: false }],
  ["--file 5 --file 6", { string: ["file"] }, { _: [], file: "6" }],
  ["--file=5", { string: ["file"] }, { _: [], file: "5" }],
  ["--file 5 --file 6", { string: ["file"], collect: ["file"] }, { _: [], file: ["5", "6"] }],
  ["", { string: ["file"], collect: ["file"] }, { _: [], file: [] }],
  ["", { string: ["file"] }, { _: [] }],
  ["", { string: ["file"], default: { file: "x" } }, { _: [], file: "x" }],
  ["--no-color", { boolean: ["color"], negatable: ["color"], default: { color: true } }, {
    _: [],
    color: false,
  }],
  ["-j x", { boolean: ["json"], alias: { json: "j" } }, { _: ["x"], json: true, j: true }],
  ["-f a", { string: ["file"], alias: { file: ["f"] } }, { _: [], file: "a", f: "a" }],
  ["--json run --fast", { boolean: ["json"], stopEarly: true }, { _: ["run", "--fast"], json: true }],
  ["a -- --b 1", {}, { _: ["a", "--b", 1] }],
  ["a -- --b 1", { "--": true }, { _: ["a"], "--": ["--b", "1"] }],
  ["07 1e3", { string: ["_"] }, { _: ["07", "1e3"] }],
];

for (const [words, options, expected] of cases) {
  Deno.test(`parseArgs "${words}" with ${JSON.stringify(options)}`, () => {
    const args = words === "" ? [] : words.split(" ");
    assertEquals<unknown>(parseArgs(args, options), expected);
  });
}

Deno.test("unknown options and words are reported, and left out where the answer is false", () => {
  const seen: unknown[] = [];
  const unknown = (...what: unknown[]) => {
    seen.push(what);
    return false;
  };
  assertEquals<unknown>(parseArgs(["--json", "--jsn", "--x=1", "w"], { boolean: ["json"], unknown }), {
    _: [],
    json: true,
  });
  assertEquals(seen, [["--jsn", "jsn", true], ["--x=1", "x", 1], ["w"]]);
});
