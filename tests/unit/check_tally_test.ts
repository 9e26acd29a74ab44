/** Counting test results, and the tables of the tasks. */
import { assertEquals } from "@std/assert";
import { add, closingLine, nothing, readJunit, readLines } from "../../tasks/tally.ts";
import { missing, needs } from "../../tasks/packages.ts";
import { inNamespace, isTestFile, tierOf } from "../../tasks/tiers.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="0" time="0.074">
    <testsuite name="./tests/unit/x_test.ts" tests="4" disabled="1" errors="0" failures="1">
        <testcase name="a &lt;ok&gt; &amp; fine" classname="./tests/unit/x_test.ts" time="0.000" line="1" col="6">
        </testcase>
        <testcase name="a node reboots [needs qemu]" classname="./tests/unit/x_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="skipped &gt; silently" classname="./tests/unit/x_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="says &quot;no&quot;" classname="./tests/unit/x_test.ts" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: boo">Error: boo &lt;skipped/&gt;</failure>
        </testcase>
        <testcase name="short" classname="./tests/unit/x_test.ts" time="0.000"/>
    </testsuite>
</testsuites>`;

Deno.test("a report gives passed, failed by name, and skipped with the reason at the end of the name", () => {
  const file = "tests/unit/x_test.ts";
  assertEquals(readJunit(report), {
    passed: 2,
    failed: 1,
    failures: [`${file}: says "no"`],
    skipped: [
      { file, name: "a node reboots [needs qemu]", reason: "needs qemu" },
      { file, name: "skipped > silently", reason: "no reason given" },
    ],
  });
  assertEquals(readJunit(report, "tests/unit/y_test.ts").failures, [`tests/unit/y_test.ts: says "no"`]);
  assertEquals(readJunit(""), nothing);
});

Deno.test("C tests count by line; a make that fails or says nothing counts as one", () => {
  const short = (output: string, code: number) => {
    const { passed, failed } = readLines(output, code);
    return [passed, failed];
  };
  assertEquals(short("ok parse\nok reply\nokay\n", 0), [2, 0]);
  assertEquals(short("ok parse\nnot ok reply\nmake: *** [test] Error 1\n", 2), [1, 1]);
  assertEquals(short("ok parse\nSegmentation fault\n", 2), [1, 1]);
  assertEquals(short("built\n", 0), [1, 0]);
  assertEquals(short("make: Nothing to be done for 'test'.\n", 0), [0, 1]);
  assertEquals(short("make: no rule\n", 2), [0, 1]);
});

Deno.test("the closing line names the skipped only where there are any", () => {
  assertEquals(closingLine(nothing), "0 passed, 0 failed");
  assertEquals(closingLine(add(readJunit(report), readJunit(report))), "4 passed, 2 failed, 4 skipped");
});

Deno.test("a test belongs to the tier of its directory", () => {
  assertEquals(tierOf("tests/kernel/firewall_test.ts")?.name, "kernel");
  assertEquals(["tests/unit/ip_test.ts", "tests/support/x_test.ts", "tests/unit/data.ts"].map(isTestFile), [
    true,
    false,
    false,
  ]);
});

Deno.test("a tier in its own namespace passes its arguments on unharmed", async () => {
  const [program = "", ...args] = inNamespace(["printf", "%s|", "a b", "$HOME"]);
  const script = args.join(" ");
  assertEquals([program, script.includes("ip link set lo up && exec")], ["unshare", true]);
  const shell = args.slice(args.indexOf("sh") + 1).map((arg) => arg.replace("ip link set lo up && ", ""));
  const { stdout } = await new Deno.Command("sh", { args: shell }).output();
  assertEquals(new TextDecoder().decode(stdout), "a b|$HOME|");
});

Deno.test("missing packages: the demo asks for less than the tests", () => {
  const packages = (purpose: "demo" | "test", here: string[]) =>
    missing(purpose, (provides) => here.includes(provides)).map((need) => need.package);
  const all = needs.map((need) => need.provides);
  assertEquals(packages("test", all), []);
  assertEquals(packages("demo", all.filter((provides) => provides !== "dockerd")), []);
  assertEquals(packages("test", all.filter((provides) => provides !== "dockerd")), ["docker.io"]);
  assertEquals(packages("demo", all.filter((provides) => provides !== "cc")), ["gcc"]);
});
