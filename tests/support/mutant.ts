/**
 * The product with one line broken, in a copy of its own: a test that stays green on it proves nothing.
 *
 * Scenarios read their own tree as always; only the daemon under test is the mutant, through DENIM_DAEMON; and what is built
 * for a test, through DENIM_TREE. Every other test calls the product itself, so it runs from the copy.
 *
 * Red counts only where the test that is meant fails as is meant: its failure has to say `says`. A line that is not there to
 * be broken, a module that does not load, a program that crashes, a test that hangs or one that complains of something else
 * is an error of the mutation.
 */
import { inNamespace, tierOf } from "../../tasks/tiers.ts";
import { type Failed, failuresIn } from "./failures.ts";
import { output, run } from "./process.ts";

export interface Damage {
  /** What is broken, in words. */
  readonly name: string;
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutation extends Damage {
  /** The test file that must turn red. */
  readonly test: string;
  /** A piece of the names of that file's tests to run: one of them must fail. */
  readonly filter: string;
  /** A piece of what the failure has to say. */
  readonly says: string;
}

const ROOT = new URL("../../", import.meta.url).pathname;
/** What a daemon needs to run. */
const PROGRAM = ["main.ts", "mod.ts", "deno.json", "deno.lock", "src", "ffi", "dist", "docs"];
/** What a test needs that runs from the copy. */
const SOURCES = [...PROGRAM, "tests", "tasks", "bench", "native", "README.md"];
/** Tiers whose tests run the daemon as a program. */
const PROGRAMS: ReadonlySet<string | undefined> = new Set(["scenarios", "interop", "long"]);
/** Milliseconds that a broken test may take to find out. */
const DEADLINE = 5 * 60_000;
/** Failures that say nothing of what was asserted. */
const CRASHES = /^Uncaught (Type|Reference|Syntax|Range)Error|Promise resolution is still pending/;

/** Registers a test that passes when the mutant fails. */
export function mustFail(mutation: Mutation): void {
  Deno.test({
    name: `mutation: ${mutation.name}`,
    ignore: tierOf(mutation.test)?.root === true && Deno.uid() !== 0,
    async fn() {
      const directory = await Deno.makeTempDir({ prefix: "denim-mutant-" });
      try {
        await expectRed(directory, mutation);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

/** Copies `parts` of the project and breaks the line. */
export async function plant(
  directory: string,
  { name, file, find, replace }: Damage,
  parts: readonly string[],
): Promise<void> {
  const native = file.startsWith("native/");
  for (const part of new Set(native ? [...parts, "native"] : parts)) {
    await run(["cp", "-a", `${ROOT}${part}`, `${directory}/${part}`]);
  }
  const text = await Deno.readTextFile(`${directory}/${file}`);
  const count = text.split(find).length - 1;
  if (count !== 1) {
    throw new Error(`plant "${name}": "${find}" stands ${count} times in ${file}; adapt the mutation`);
  }
  await Deno.writeTextFile(`${directory}/${file}`, text.replace(find, () => replace));
  if (native) await run(["make", "--silent", "-C", `${directory}/native`]);
}

async function expectRed(directory: string, mutation: Mutation): Promise<void> {
  const { name, test, says } = mutation;
  const program = PROGRAMS.has(tierOf(test)?.name);
  await plant(directory, mutation, program ? PROGRAM : SOURCES);
  const { code, ran, failed, text } = await runTest(directory, program ? ROOT : `${directory}/`, mutation);
  const what = `run "${mutation.filter}" of ${test} on "${name}"`;
  if (ran === 0) throw new Error(`${what}: there is no such test, or it did not start\n${text}`);
  if (code === 0) throw new Error(`${what}: it passed; the test does not see the damage`);
  if (failed.length === 0) throw new Error(`${what}: no test failed, but the run did\n${text}`);
  // A program that does not even start fails every test and shows nothing.
  if (/internal error|SyntaxError/.test(text)) throw new Error(`${what}: it crashed\n${text}`);
  if (failed.some(({ message }) => message.includes(says) && !CRASHES.test(message))) return;
  const seen = failed.map((one) => `${one.name}: ${one.message}`).join("\n");
  throw new Error(`${what}: it failed without a word of "${says}":\n${seen}`);
}

/** Runs the mutation's test from `tree` on the mutant in `directory`. */
async function runTest(
  directory: string,
  tree: string,
  { test, filter }: Mutation,
): Promise<{ code: number; ran: number; failed: Failed[]; text: string }> {
  const report = `${directory}/report.xml`;
  const options = ["-A", "--no-check", `--filter=${filter}`, `--junit-path=${report}`];
  const command = [Deno.execPath(), "test", ...options, `${tree}${test}`];
  const daemon = `${Deno.execPath()} run -A --no-check ${directory}/main.ts`;
  const env = { DENIM_DAEMON: daemon, DENIM_TREE: directory, NO_COLOR: "1" };
  const placed = tierOf(test)?.namespace ? inNamespace(command) : command;
  const { code, stdout, stderr } = await output(placed, { env, deadline: DEADLINE });
  const xml = await Deno.readTextFile(report).catch(() => "");
  const ran = xml.match(/<testcase /g)?.length ?? 0;
  return { code, ran, failed: failuresIn(xml), text: stdout + stderr };
}
