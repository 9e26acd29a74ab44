/**
 * Whether a built file is ours and works: a base that ignores its payload looks like a success until it is run.
 *
 * It is run with an empty environment and a directory of its own, as on a machine that has never seen it.
 */
import { version } from "../src/cli/version.ts";
import { tryDaemon } from "./compile_smoke_daemon.ts";
import { capture } from "./run.ts";

/** How far a file was run. */
export type Tried = "tried" | "tried without a network" | "not tried: that needs qemu-user-static here";

/**
 * @param runner words to put in front of it; null where it can't be run here
 * @param scratch a directory that whoever calls takes away
 * @param deno as `version` has to name it: `2.9.6 x86_64-unknown-linux-gnu`
 * @throws Error with what is wrong, in one line
 */
export async function smokeTest(
  path: string,
  runner: readonly string[] | null,
  scratch: string,
  deno: string,
): Promise<Tried> {
  if (runner === null) return "not tried: that needs qemu-user-static here";
  const directory = await Deno.makeTempDir({ dir: scratch, prefix: "smoke-" });
  const env = { DENIM_EXTRACT_DIR: `${directory}/extracted`, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  const ask = async (...words: string[]) =>
    (await capture([...runner, path, ...words], { cwd: directory, env, clearEnv: true })).output;
  const said = await ask("version");
  if (!said.startsWith(`${version}\n`)) {
    throw new Error(`the result is not our program, "version" says "${lastLine(said)}"`);
  }
  const facts = said.trim().replaceAll("\n", ", ");
  if (!said.includes(`\ndeno: ${deno}\n`)) throw new Error(`the result is not with Deno ${deno}: ${facts}`);
  if (!/^library: interface/m.test(said)) throw new Error(`"version" says "${lastLine(said)}"`);
  const help = await ask("help");
  if (!help.includes("-etcd-endpoints")) throw new Error(`"help" says "${lastLine(help)}"`);
  // As far as a daemon comes that may change nothing: SQLite refuses to make a file.
  const preview = await ask("--store", `sqlite:${directory}/leases.db`, "--read-only");
  if (!preview.includes(`open the lease store "${directory}/leases.db"`)) {
    throw new Error(`a daemon says "${lastLine(preview)}"`);
  }
  const problem = runner.length > 0 ? undefined : await tryDaemon(path, directory, env);
  if (typeof problem === "string") throw new Error(`a daemon says "${problem}"`);
  return problem === null ? "tried" : "tried without a network";
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
