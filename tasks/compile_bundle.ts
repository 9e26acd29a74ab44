/**
 * main.ts and everything it imports as a few plain modules: what Deno runs on a node that has no package cache.
 *
 * One module would do, but then every start would read the etcd client; so what is imported dynamically stays a module of its
 * own. Three things are changed in the result: etcd3's protocol is put in place of the file it would read, the entry module begins
 * with a prelude, and what the place of the package cache has left in comments, keys and names of modules is taken out, so that
 * the same sources give the same bytes everywhere.
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
  globalThis[Symbol.for("denim.binary")] = Deno.env.get("DENIM_BINARY");
  const set = Deno.env.get("DENIM_SET") ?? "";
  for (const name of [...set.split(",").filter((name) => name !== ""), "DENIM_SET"]) Deno.env.delete(name);
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
  const embedded = embedProto(texts, proto.trim());
  const modules = withoutPlaces(new Map(names.map((name, i) => [name, embedded[i]!])));
  modules.set(MAIN, PRELUDE + modules.get(MAIN)!);
  return [...modules].map(([name, text]) => ({ name, mode: 0o400, bytes: new TextEncoder().encode(text) }));
}

/** Where a module of the package cache is, in a comment or in a key: up to the package's name. */
const CACHED = /^(\s*(?:\/\/ |"))[^\s"]*\/npm\/[^\s"/]+\//gm;
const IMPORTED = /"\.\/([\w.-]+\.js)"/g;

/** Modules named by the order in which they are met from the entry on; their own names are hashes of texts with paths in them. */
export function withoutPlaces(modules: ReadonlyMap<string, string>): Map<string, string> {
  const renamed = new Map([[MAIN, MAIN]]);
  for (const name of renamed.keys()) {
    for (const [, imported = ""] of modules.get(name)?.matchAll(IMPORTED) ?? []) {
      if (renamed.has(imported) || !modules.has(imported)) continue;
      renamed.set(imported, imported.replace(/-[A-Z0-9]+\.js$/, `-${renamed.size}.js`));
    }
  }
  return new Map([...renamed].map(([name, newName]) => {
    const text = modules.get(name)!.replace(CACHED, "$1npm:");
    return [
      newName,
      text.replace(IMPORTED, (all, each) => renamed.has(each) ? `"./${renamed.get(each)}"` : all),
    ];
  }));
}

/** @throws Error where etcd3 loads its protocol in another way than it did */
export function embedProto(texts: readonly string[], json: string): string[] {
  const found = texts.map((text) => text.match(LOADS_PROTO)?.length ?? 0).reduce((sum, n) => sum + n, 0);
  if (found !== 1) throw new Error(`embed etcd3's protocol: found ${found} places that load it instead of 1`);
  return texts.map((text) => text.replace(LOADS_PROTO, () => `fromJSON)(${json},`));
}

/** @returns what it printed. @throws Error with the line that says why */
export async function succeed(what: string, command: readonly string[]): Promise<string> {
  const { code, output } = await capture(command);
  if (code === 0) return output;
  const lines = output.trim().split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const reason = lines.find((line) => /\berror\b(?! code)|cannot find/i.test(line)) ?? lines.at(-1) ??
    `code ${code}`;
  throw new Error(`${what}: ${reason.replaceAll(top + "/", "")}`);
}
