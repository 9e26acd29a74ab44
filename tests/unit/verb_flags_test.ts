/** A verb's own options in every form that the daemon's flags have. */
import { assertEquals, assertThrows } from "@std/assert";
import { refuseRest, takeFlags } from "../../src/cli/verb_flags.ts";
import { UsageError } from "../../src/model/errors.ts";

const table = { hosts: "value", keep: "switch", k: "switch" } as const;
const taken = (...args: string[]) => {
  const { values, on, rest } = takeFlags("demo", args, table);
  return [values.get("hosts"), [...on], rest];
};

Deno.test("one dash or two, = or the next word; a switch takes a value only with =", () => {
  for (const words of [["-hosts=2"], ["--hosts=2"], ["-hosts", "2"], ["--hosts", "2"]]) {
    assertEquals(taken(...words, "-keep", "x"), ["2", ["keep"], ["x"]], words.join(" "));
  }
  assertEquals(taken("--keep", "false"), [undefined, ["keep"], ["false"]]);
  for (const word of ["1", "t", "T", "true", "TRUE", "True"]) {
    assertEquals(taken(`-keep=${word}`)[1], ["keep"]);
  }
  for (const word of ["0", "f", "F", "false", "FALSE", "False"]) {
    assertEquals(taken("-k", `--k=${word}`)[1], []);
  }
  assertEquals(taken("-hosts=a=b", "-hosts", "--keep"), ["--keep", [], []]);
});

Deno.test("what is not the verb's own stays, in its order, and all of it after --", () => {
  const words = ["-x", "file", "---keep", "-", "--xkeep", "--", "--keep", "-hosts=2"];
  assertEquals(taken("-k", ...words), [undefined, ["k"], words]);
});

Deno.test("what is wrong names the option, and a word too many suggests what was meant", () => {
  const cases: [string[], string][] = [
    [["-hosts"], "demo --hosts: its value is missing; write --hosts=VALUE"],
    [["-keep=maybe"], 'demo --keep "maybe": not true or false; a switch stands alone'],
    [["-keepp=1"], 'demo "-keepp=1": no such option; did you mean --keep? (see flanneld demo --help)'],
    [["-zzz"], 'demo "-zzz": no such option; there are --hosts, --keep, -k (see flanneld demo --help)'],
    [["a\nb"], 'demo "a\\nb": a word too many; it takes options alone (see flanneld demo --help)'],
  ];
  for (const [args, says] of cases) {
    const refused = () => refuseRest("demo", takeFlags("demo", args, table).rest, table);
    assertEquals(assertThrows(refused, UsageError).message, says);
  }
  refuseRest("demo", [], table);
});
