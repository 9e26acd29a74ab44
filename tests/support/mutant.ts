/**
 * The product with one line broken, in a copy of its own: a scenario that stays green on it proves nothing.
 *
 * The copy is what the daemon needs to run (entry, sources, library, helpers). Other tests read their own tree as always; only
 * the daemon under test is the mutant, through DENIM_DAEMON; and what is built for a test, through DENIM_TREE.
 */
import { output, run } from "./process.ts";

export interface Mutation {
  /** What is broken, in words. */
  readonly name: string;
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The test file that must turn red. */
  readonly test: string;
  /** The tests of that file to run. */
  readonly filter: string;
}

const ROOT = new URL("../../", import.meta.url).pathname;
const PARTS = ["main.ts", "mod.ts", "deno.json", "deno.lock", "src", "ffi", "dist", "docs"];
/** Milliseconds that a broken scenario may take to find out. */
const DEADLINE = 5 * 60_000;

/** Registers a test that passes when the mutant fails. */
export function mustFail(mutation: Mutation): void {
  Deno.test({
    name: `mutation: ${mutation.name}`,
    ignore: Deno.uid() !== 0,
    async fn() {
      const directory = await Deno.makeTempDir({ prefix: "denim-mutant-" });
      try {
        await plant(directory, mutation);
        await expectRed(directory, mutation);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

/** Copies `parts` of the project, what a daemon needs unless told, and breaks the line. */
export async function plant(
  directory: string,
  { name, file, find, replace }: Pick<Mutation, "name" | "file" | "find" | "replace">,
  parts: readonly string[] = PARTS,
): Promise<void> {
  const native = file.startsWith("native/");
  for (const part of native ? [...parts, "native"] : parts) {
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

async function expectRed(directory: string, { name, test, filter }: Mutation): Promise<void> {
  const command = [Deno.execPath(), "test", "-A", "--no-check", `--filter=${filter}`, `${ROOT}${test}`];
  const daemon = `${Deno.execPath()} run -A --no-check ${directory}/main.ts`;
  const env = { DENIM_DAEMON: daemon, DENIM_TREE: directory, NO_COLOR: "1" };
  const { code, stdout, stderr } = await output(command, { env, deadline: DEADLINE });
  const text = stdout + stderr;
  if (code === 0) {
    throw new Error(`run ${test} on "${name}": it passed; the scenario does not see the damage`);
  }
  if (!/\d+ failed/.test(text)) throw new Error(`run ${test} on "${name}": no test ran\n${text}`);
  // A program that does not even start fails every test and shows nothing.
  if (/internal error|SyntaxError/.test(text)) {
    throw new Error(`run ${test} on "${name}": it crashed\n${text}`);
  }
}
