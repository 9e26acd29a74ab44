/** dist/flanneld for tests: built from this tree into a directory of its own, and root directories that hold nothing else. */
import { dirname } from "node:path";
import { type CommandOptions, type Output, output, run } from "./process.ts";

const top = dirname(dirname(import.meta.dirname!));

export type Kind = "launcher" | "compiled";

/** The command that `deno task compile` runs. */
export function compileCommand(args: readonly string[], tree = top): string[] {
  return [Deno.execPath(), "run", "-A", "--config", `${tree}/deno.json`, `${tree}/tasks/compile.ts`, ...args];
}

export function compile(args: readonly string[], options: CommandOptions = {}): Promise<Output> {
  return output(compileCommand(args), { deadline: 120_000, ...options });
}

/** Makes `<directory>/flanneld`. @throws Error where it can't be built */
export async function buildBinary(directory: string, kind: Kind): Promise<void> {
  const built = await compile([`--kind=${kind}`, `--directory=${directory}`]);
  if (built.code !== 0) throw new Error(`build dist/flanneld: ${built.stdout}${built.stderr}`);
}

/** Fills a root directory: the binary, the libraries that Deno is linked with, and nothing else. */
export async function fillRoot(root: string, binary: string): Promise<void> {
  const linked = await run(["ldd", Deno.execPath()]);
  const libraries = [...linked.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!);
  await run(["mkdir", "-p", ...["proc", "sys", "dev", "run"].map((name) => `${root}/${name}`)]);
  await run(["cp", binary, `${root}/flanneld`]);
  for (const library of libraries) await run(["install", "-D", library, root + library]);
}
