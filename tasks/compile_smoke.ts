/**
 * Whether a built file is ours and works: a base that ignores its payload looks like a success until it is run.
 *
 * It is run with an empty environment and a directory of its own, as on a machine that has never seen it.
 */
import { version } from "../src/cli/version.ts";

/** @param runner words to put in front of it. @returns what is wrong, or null */
export async function smokeTest(path: string, runner: readonly string[]): Promise<string | null> {
  const directory = await Deno.makeTempDir({ prefix: "denim-smoke-" });
  try {
    return await ask([...runner, path], directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function ask(words: readonly string[], directory: string): Promise<string | null> {
  const env = { DENIM_EXTRACT_DIR: `${directory}/extracted`, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  const [program = "", ...first] = words;
  const run = async (...rest: string[]) => {
    const args = [...first, ...rest];
    const command = new Deno.Command(program, { args, env, clearEnv: true, cwd: directory, stdin: "null" });
    const { code, stdout, stderr } = await command.output();
    return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  };
  const asked = await run("version");
  if (asked.text !== `${version}\n`) {
    return `the result is not our program, "version" says "${firstLine(asked.text)}"`;
  }
  const help = await run("help");
  if (!help.text.includes("-etcd-endpoints")) return `"help" says "${firstLine(help.text)}"`;
  // As far as a daemon comes that may change nothing: the C library is loaded and SQLite refuses to make a file.
  const daemon = await run("--store", `sqlite:${directory}/leases.db`, "--read-only");
  return daemon.text.includes(`open the lease store "${directory}/leases.db"`)
    ? null
    : `a daemon says "${firstLine(daemon.text)}"`;
}

function firstLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
