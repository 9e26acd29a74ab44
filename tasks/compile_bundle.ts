/**
 * main.ts and everything it imports as a few plain modules: what Deno runs on a node that has no package cache.
 *
 * One module would do, but then every start would read the etcd client; so what is imported dynamically stays a module of its
 * own. What is changed in the result: etcd3's protocol is put in place of the file it would read, and what the place of the package cache has left in comments, keys and names of modules is taken out, so that
 * the same sources give the same bytes everywhere.
 */
import { BUILD, type Build } from "../src/model/build.ts";
import { capture, type CaptureOptions, deno, top } from "./run.ts";
import type { PackFile } from "./compile_pack.ts";

/** The entry module; the launcher knows the name. */
export const MAIN = "main.js";

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
  return [...modules].map(([name, text]) => ({ name, mode: 0o400, bytes: new TextEncoder().encode(text) }));
}

/**
 * The modules with a prelude in front of the entry: what src/model/build.ts reads, and, in the launcher kind, what the launcher
 * (native/launcher/start.c) told Deno in the environment is taken out of it, because nobody else shall see it.
 */
export function withBuild(modules: readonly PackFile[], build: Build): PackFile[] {
  const text = build.kind === "launcher"
    ? launcherPrelude(build)
    : `{\n${assignment(JSON.stringify(build))}}\n`;
  const prelude = new TextEncoder().encode(text);
  return modules.map((file) => file.name === MAIN ? { ...file, bytes: joined([prelude, file.bytes]) } : file);
}

function assignment(value: string): string {
  return `  globalThis[Symbol.for(${JSON.stringify(BUILD)})] = ${value};\n`;
}

function launcherPrelude(build: Build): string {
  return `{
${
    assignment(`{ ...${JSON.stringify(build)}, binary: Deno.env.get("DENIM_BINARY") }`)
  }  const set = Deno.env.get("DENIM_SET") ?? "";
  for (const name of [...set.split(",").filter((name) => name !== ""), "DENIM_SET"]) Deno.env.delete(name);
}
`;
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A file of a package, as `withoutPlaces` leaves it in a comment or a key. A copy of a package has `_1` behind its version. */
const PACKAGED = /^\s*(?:\/\/ |")npm:((?:@[^/\s"]+\/)?[^/\s"]+)\/(\d[^/\s"]*?)(?:_\d+)?\//gm;

/** The npm packages of which something is in these modules, sorted: `etcd3@1.1.2`. */
export function packagesIn(modules: readonly PackFile[]): string[] {
  const texts = modules.map(({ bytes }) => new TextDecoder().decode(bytes));
  const found = texts.flatMap((text) =>
    [...text.matchAll(PACKAGED)].map(([, name, version]) => `${name}@${version}`)
  );
  return [...new Set(found)].sort();
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
export async function succeed(
  what: string,
  command: readonly string[],
  options: CaptureOptions = {},
): Promise<string> {
  const { code, output } = await capture(command, options);
  if (code === 0) return output;
  const lines = output.trim().split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const reason = lines.find((line) => /\berror\b(?! code)|cannot find/i.test(line)) ?? lines.at(-1) ??
    `code ${code}`;
  throw new Error(`${what}: ${reason.replaceAll(top + "/", "")}`);
}
