/**
 * Every program that the sources start is among the project's packages, for the purpose that it is started for, or is one that
 * each Debian has. `tests/support/programs.ts` says what is read; the tier `bare` shows the same on a machine.
 */
import { assertEquals } from "@std/assert";
import project from "../../deno.json" with { type: "json" };
import { everywhere, needs, needsOf, presumed, type Purpose } from "../../tasks/packages.ts";
import { projectFiles, top } from "../../tasks/run.ts";
import { programsIn, programsOf } from "../support/programs.ts";
import { commandsOf } from "../support/shell_words.ts";

/** What a shell does itself. */
const BUILTINS =
  ". : [ break cd command continue echo eval exec exit export false getopts kill printf pwd read return set shift test trap true umask unset wait"
    .split(" ");

/** Words that look like programs and are none, or are what a test made itself, by file. */
const NONE: Readonly<Record<string, readonly string[]>> = {
  "dist/flanneld.service": ["flanneld"],
  // support/walkthrough_hosts.ts does what these would.
  "docs/tutorial.md": ["flanneld", "journalctl", "scp", "ssh", "systemctl"],
  "tests/bare/bare_test.ts": ["flanneld"],
  "tests/scenarios/binary_test.ts": ["flanneld"],
  "tests/scenarios/support_test.ts": ["c1", "c2"],
  // What systemd would do is done by support/units.ts.
  "tests/scenarios/systemd_test.ts": ["journalctl"],
  "tests/support/docker.ts": ["bin/busybox"],
  "tests/unit/system_test.ts": ["iptables-nowhere"],
};

/** What is started where a file of the project is used. */
function purposeOf(file: string): Purpose {
  if (/^(src|ffi)\/|^(main|mod)\.ts$|^dist\/.*\.sh$/.test(file)) return "demo";
  if (/^tasks\/(compile|run\.|setup\.|packages\.|check\.)/.test(file)) return "build";
  return "test";
}

function unlisted(file: string, programs: readonly string[], purpose: Purpose = purposeOf(file)): string[] {
  const known = [
    ...needsOf(purpose).map((need) => need.provides.replace(/^.*\//, "")),
    ...everywhere,
    ...presumed,
    ...BUILTINS,
    ...NONE[file] ?? [],
  ];
  return programs.filter((program) => !known.includes(program)).map((program) =>
    `${file} starts ${program}, which no package of "${purpose}" in tasks/packages.ts provides`
  );
}

Deno.test("every program that the sources start by name is among the packages of its purpose", async () => {
  const files = (await projectFiles()).filter((file) => /\.ts$|^dist\/.*\.sh$|^\.ci\/run$/.test(file));
  const problems = files.flatMap((file) =>
    unlisted(file, programsIn(`${top}/${file}`, Deno.readTextFileSync(`${top}/${file}`)))
  );
  assertEquals(problems, []);
});

Deno.test("so are those of the tasks, the units, the Makefiles and the tutorial", () => {
  const tasks = Object.entries(project.tasks).flatMap(([name, { command }]) => {
    const prepared = /tasks\/setup\.ts (\w+)/.exec(command)?.[1] as Purpose | undefined;
    const programs = programsFrom(command).filter((program) => program !== "deno");
    return unlisted(`task ${name}`, programs, prepared ?? "build");
  });
  const units = ["flanneld.service", "flanneld-hardened.conf"].flatMap((file) => {
    const commands = read(`dist/${file}`).matchAll(/^Exec\w+=[-+!@]*(\S.*)$/gm);
    return unlisted(`dist/${file}`, [...commands].flatMap(([, command]) => programsFrom(command!)), "test");
  });
  const makefiles = ["native/Makefile", "native/launcher/Makefile"].flatMap((file) => {
    const programs = programsFrom(recipes(read(file)));
    return unlisted(file, programs.filter((program) => program !== "clang"), "build");
  });
  const tutorial = [...read("docs/tutorial.md").matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, script]) =>
    unlisted("docs/tutorial.md", programsFrom(script!), "test")
  );
  assertEquals([...tasks, ...units, ...makefiles, ...tutorial], []);
});

Deno.test("clang is what fuzzing needs; no program has two packages", () => {
  assertEquals(programsFrom(recipes(read("native/Makefile"))).includes("clang"), true);
  assertEquals(needsOf("fuzz").some((need) => need.provides === "clang"), true);
  const provided = needs.map((need) => need.provides);
  assertEquals(provided.filter((each, i) => provided.indexOf(each) !== i), []);
});

const sources: readonly (readonly [text: string, ...programs: string[]])[] = [
  [`await run(["jq", "."]);`, "jq"],
  [`await host.run(["ip", "link"]); await place.output(["jq"]);`, "ip", "jq"],
  [`run("jq", ["."], {});`, "jq"],
  [`new Deno.Command("jq", { args: ["."] }).spawn();`, "jq"],
  [`startProgram("jq", { args: ["."], stdin: "null" });`, "jq"],
  [`new Deno.Command("unshare", { args: ["-n", "sh", "-c", "jq . | yq"] });`, "jq", "sh", "unshare", "yq"],
  [`new Process("a", ["env", "-u", "X", "A=1", "jq"]);`, "env", "jq"],
  [`host.start("a", ["timeout", "-k", "1", "5", "jq"]);`, "jq", "timeout"],
  [`run(["nsenter", "-t", String(pid), "-n", "--", "jq"]);`, "jq", "nsenter"],
  [`run([...place.enter, "--", "jq"]);`, "jq"],
  ["host.sh(`ip link ${what}\n  if jq \\$(yq); then :; fi`);", "ip", "jq", "yq"],
  [`const SCRIPT = "jq . && yq"; run(["sh", "-ec", SCRIPT, "name"]);`, "jq", "sh", "yq"],
  [`function command() { return ["jq", "."]; } run(command());`, "jq"],
  [`class A { #words() { return ["jq"]; } f() { new Process("x", this.#words()); } }`, "jq"],
  [`const command = slow ? ["jq"] : ["yq"];`, "jq", "yq"],
  [`mustInside(host, "jq", "."); const [a, ...b] = inside(to, "yq");`, "jq", "yq"],
  [`const place = { wrap: ["jq", "--"] };`, "jq"],
  [`run(["command", "-v", "jq"]); other(["jq"]);`, "command"],
];

for (const [text, ...programs] of sources) {
  Deno.test(`programs that are started by ${text}`, () => assertEquals(programsIn("x.ts", text), programs));
}

function programsFrom(script: string): string[] {
  return [...new Set(commandsOf(script).flatMap(programsOf))].sort();
}

/** What a Makefile runs: without what make itself takes away or puts in, and with its variables as the shell's. */
function recipes(makefile: string): string {
  const lines = makefile.replaceAll("\\\n", " ").split("\n").filter((line) => line.startsWith("\t"));
  const shells = [...makefile.matchAll(/\$\(shell ([^)]*)\)/g)].map(([, script]) => script!);
  return [...lines.map((line) => line.replace(/^\t[@-]*/, "").replaceAll("$$", "$")), ...shells].join("\n")
    .replace(/\$\((\w[^()]*(\([^)]*\))?[^()]*)\)|\$[@<^*]/g, "$$x");
}

function read(file: string): string {
  return Deno.readTextFileSync(`${top}/${file}`);
}
