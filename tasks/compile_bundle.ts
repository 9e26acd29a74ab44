/**
 * main.ts and everything it imports as a few plain modules: what Deno runs on a node that has no package cache.
 *
 * One module would do, but then every start would read the etcd client; so what is imported dynamically stays a module of its
 * own. Two things are changed in the result, and each has to be found exactly once: etcd3's protocol is put in place of the
 * file it would read, and the entry module begins with a prelude.
 */
import { capture, deno, top } from "./run.ts";
import type { PackFile } from "./compile_pack.ts";

/** The entry module; the launcher knows the name. */
const MAIN = "main.js";

/**
 * What the launcher (native/launcher/start.c) told Deno in the environment, and what nobody else shall see. The binary's own path
 * stays, as a property that src/cli/self_command.ts reads.
 */
const PRELUDE = `{
  const take = (name, ours = () => true) => {
    const value = Deno.env.get(name);
    if (value === undefined || !ours(value)) return undefined;
    Deno.env.delete(name);
    return value;
  };
  take("DENO_DIR", (value) => value === import.meta.dirname + "/cache");
  take("DENO_NO_UPDATE_CHECK", (value) => value === "flanneld");
  globalThis[Symbol.for("denim.binary")] = take("DENIM_BINARY");
}
`;

const LOADS_PROTO = /\bloadSync\)\(`\$\{__dirname\}\/\.\.\/proto\/rpc\.proto`,/g;

/** @throws Error where a step fails, in one line */
export async function bundle(directory: string): Promise<PackFile[]> {
  const options = ["--quiet", "--platform", "deno", "--code-splitting", "--outdir", directory];
  await succeed("bundle the modules", [deno, "bundle", ...options, "main.ts"]);
  const proto = await succeed("read etcd3's protocol", [deno, "run", "-A", "tasks/compile_proto.ts"]);
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  const texts = names.map((name) => Deno.readTextFileSync(`${directory}/${name}`));
  const patched = embedProto(texts, proto.trim());
  return names.map((name, i) => {
    const text = name === MAIN ? PRELUDE + patched[i]! : patched[i]!;
    return { name, mode: 0o400, bytes: new TextEncoder().encode(text) };
  });
}

/** @throws Error where etcd3 loads its protocol in another way than it did */
export function embedProto(texts: readonly string[], json: string): string[] {
  const found = texts.map((text) => text.match(LOADS_PROTO)?.length ?? 0).reduce((sum, n) => sum + n, 0);
  if (found !== 1) throw new Error(`embed etcd3's protocol: found ${found} places that load it instead of 1`);
  return texts.map((text) => text.replace(LOADS_PROTO, () => `fromJSON)(${json},`));
}

/** @returns what it printed. @throws Error with the last line that it printed */
export async function succeed(what: string, command: readonly string[]): Promise<string> {
  const { code, output } = await capture(command);
  if (code === 0) return output;
  const lines = output.trim().split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const reason = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? `code ${code}`;
  throw new Error(`${what}: ${reason.replaceAll(top + "/", "")}`);
}
