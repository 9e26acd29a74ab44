/**
 * Whether a built file is ours and works: a base that ignores its payload looks like a success until it is run.
 *
 * It is run with an empty environment and a directory of its own, as on a machine that has never seen it.
 */
import { version } from "../src/cli/version.ts";
import { capture } from "./run.ts";

/**
 * @param runner words to put in front of it
 * @param scratch a directory that whoever calls takes away
 * @returns what is wrong, or null
 */
export async function smokeTest(
  path: string,
  runner: readonly string[],
  scratch: string,
): Promise<string | null> {
  const directory = await Deno.makeTempDir({ dir: scratch, prefix: "smoke-" });
  const ask = (...words: string[]) => output([...runner, path, ...words], directory);
  const said = await ask("version");
  if (!said.startsWith(`${version}\n`)) {
    return `the result is not our program, "version" says "${lastLine(said)}"`;
  }
  if (!/^library: interface/m.test(said)) return `"version" says "${lastLine(said)}"`;
  const help = await ask("help");
  if (!help.includes("-etcd-endpoints")) return `"help" says "${lastLine(help)}"`;
  // As far as a daemon comes that may change nothing: SQLite refuses to make a file.
  const daemon = await ask("--store", `sqlite:${directory}/leases.db`, "--read-only");
  return daemon.includes(`open the lease store "${directory}/leases.db"`)
    ? null
    : `a daemon says "${lastLine(daemon)}"`;
}

/** What a program writes, to both streams. */
async function output(words: readonly string[], directory: string): Promise<string> {
  const env = { DENIM_EXTRACT_DIR: `${directory}/extracted`, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  return (await capture(words, { cwd: directory, env, clearEnv: true })).output;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
