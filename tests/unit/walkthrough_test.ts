/** Pages as steps, and unit files as the tests read them; and that the tutorial is the same one in both languages. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { commandWords, readService, readVariables } from "../support/unit_file.ts";
import { matches, readSteps } from "../support/walkthrough.ts";

const docs = new URL("../../docs/", import.meta.url);

Deno.test("the tutorial has the same commands and outputs in both languages", async () => {
  const [english, chinese] = await Promise.all(
    ["tutorial.md", "tutorial.zh-CN.md"].map(async (name) => {
      const steps = readSteps(await Deno.readTextFile(new URL(name, docs)));
      return steps.map(({ line: _line, ...step }) => step);
    }),
  );
  assertEquals(chinese, english);
  assert(english!.length > 40, `${english!.length} steps`);
});

const fence = (kind: string, text: string) => `\`\`\`${kind}\n${text}\n\`\`\`\n`;

Deno.test("a page is read as steps: hosts, commands, output", () => {
  const page = `# Title\n\n${fence("", "a ── b")}\nText.\n\n<!-- on: host1 host2 -->\n\n${
    fence("sh", "one\ntwo")
  }
<!-- on: host1 (repeat) -->\n\n${fence("sh", "three")}\nIt prints:\n\n${fence("text", "3 …")}`;
  assertEquals(readSteps(page), [
    { line: 11, hosts: ["host1", "host2"], repeat: false, script: "one\ntwo", expected: null },
    { line: 18, hosts: ["host1"], repeat: true, script: "three", expected: "3 …" },
  ]);
});

Deno.test("a fence that nobody would run is an error", () => {
  const cases: [string, RegExp][] = [
    [fence("sh", "ls"), /^line 1: commands without/],
    [`<!-- on: host1 -->\ntext\n${fence("sh", "ls")}`, /^line 3: commands without/],
    [fence("ini", "[Unit]"), /^line 1: a fence of kind "ini"/],
    [fence("", "ls"), /kind ""/],
    [fence("text", "a"), /kind "text"/],
    [`<!-- on: a b -->\n${fence("sh", "ls")}${fence("text", "a")}`, /kind "text"/],
    [`<!-- on: a -->\n${fence("sh", "ls")}${fence("text", "a")}${fence("text", "a")}`, /kind "text"/],
    ["```sh\nls\n", /without an end/],
  ];
  for (const [page, says] of cases) assertMatch(assertThrows(() => readSteps(page), Error).message, says);
});

Deno.test("… stands for anything in a line, alone for any lines, and for nothing else", () => {
  assert(matches("a … c\nd", "a b c  \nd\n"));
  assert(matches("…\nlast", "last") && matches("…\nlast", "1\n2\nlast\n"));
  assert(matches("a (b) [c] 1.5*", "a (b) [c] 1.5*"));
  assert(!matches("a … c", "a b d"));
  assert(!matches("a", "a\nb") && !matches("a\nb", "a"));
  assert(!matches("1.5", "145"));
  assert(!matches("a … c", "a b\nc"));
});

Deno.test("a unit file with its drop-ins: lists grow, an empty value clears them, the last one counts", () => {
  const unit =
    `[Unit]\nRequires=docker.socket\n[Service]\nType=notify\nUser=etcd\nEnvironmentFile=-/etc/default/%p
ExecStart=/usr/bin/one \\\n  -a \\\n  -b\n# ExecStart=/no\nStateDirectory=flannel\nExecStartPost=/x\n`;
  const dropIn =
    "[Unit]\nRequires=a.service b.service\n[Service]\nEnvironmentFile=/run/two\nExecStart=\nExecStart=/usr/bin/two $A\n" +
    "ExecStartPre=-+y\nCapabilityBoundingSet=CAP_A CAP_B\nNoNewPrivileges=yes\nProtectSystem=strict\n";
  assertEquals(readService([unit]).start, "/usr/bin/one -a -b");
  assertEquals(readService([unit, dropIn]), {
    requires: ["docker.socket", "a.service", "b.service"],
    type: "notify",
    user: "etcd",
    stateDirectory: "flannel",
    runtimeDirectory: "",
    environment: [],
    environmentFiles: ["-/etc/default/%p", "/run/two"],
    startPre: ["-+y"],
    start: "/usr/bin/two $A",
    startPost: ["/x"],
    sandbox: { capabilities: ["CAP_A", "CAP_B"], noNewPrivileges: true, readOnly: true, privateTmp: false },
  });
});

Deno.test("variables of a unit: quotes go, a word that is a variable becomes its words", () => {
  const variables = readVariables("# no\nA=\" --bip=10.1.2.1/24 --mtu=1450\"\nB='x'\nC=\nD=1=2\n");
  assertEquals(variables, { A: " --bip=10.1.2.1/24 --mtu=1450", B: "x", C: "", D: "1=2" });
  assertEquals(commandWords("/bin/d -H fd:// $A $C $NONE", variables), [
    "/bin/d",
    "-H",
    "fd://",
    "--bip=10.1.2.1/24",
    "--mtu=1450",
  ]);
});
