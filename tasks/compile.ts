/**
 * One file to put on a node: `deno task compile` makes dist/flanneld, with Deno, the modules and the C library inside.
 *
 * Two kinds, with the same behaviour (docs/binary.md): "compiled" by `deno compile`, whose base (denort) comes from Deno's own
 * site or from DENORT_BIN; "launcher", with a launcher of ours in front of the Deno that npm has. Without --kind it is the first
 * where denort can be had and the second elsewhere. A file that was not run successfully never gets its name; beside it lie its
 * hash and a list of what it is made of.
 */
import { parseArgs } from "@std/cli";
import project from "../deno.json" with { type: "json" };
import { version } from "../src/cli/version.ts";
import { buildWithLauncher, type Built } from "./compile_launcher.ts";
import { buildWithDenort } from "./compile_denort.ts";
import { runnerFor } from "./compile_emulate.ts";
import { hex, sha256 } from "./compile_pack.ts";
import { sbom } from "./compile_sbom.ts";
import { smokeTest } from "./compile_smoke.ts";
import { fileNameOf, type Target, targetOf, triples } from "./compile_target.ts";
import { say, top } from "./run.ts";

const kinds = ["compiled", "launcher"] as const;
type Kind = (typeof kinds)[number];

interface Request {
  readonly target: Target;
  readonly kind: Kind | undefined;
  readonly directory: string;
  /** A Deno for the target, where npm has none. */
  readonly deno: string | undefined;
}

/** @throws Error for words that this task doesn't know */
function readRequest(args: readonly string[]): Request {
  const { _: words, ...given } = parseArgs(args, {
    string: ["kind", "target", "directory", "deno", "_"],
    unknown: (word) => {
      throw new Error(
        `"${word}": give --kind=${kinds.join("|")}, --target=${
          triples.join("|")
        }, --directory=DIR, --deno=FILE`,
      );
    },
  });
  if (words.length > 0) throw new Error(`"${words[0]}": only options are known`);
  const triple = given.target ?? `${Deno.build.arch}-unknown-linux-gnu`;
  const target = targetOf(triple);
  if (target === undefined) throw new Error(`for "${triple}": the targets are ${triples.join(" and ")}`);
  const kind = kinds.find((each) => each === given.kind);
  if (given.kind !== undefined && kind === undefined) {
    throw new Error(`kind "${given.kind}": the kinds are ${kinds.join(" and ")}`);
  }
  return { target, kind, directory: given.directory ?? `${top}/dist`, deno: given.deno };
}

/** Denort where it is named or can be had, else the launcher. */
async function build(
  request: Request,
  draft: string,
  scratch: string,
): Promise<Built & { readonly kind: Kind }> {
  const { target, kind } = request;
  if (kind !== "launcher") {
    try {
      return { kind: "compiled", ...await buildWithDenort(target, draft, scratch) };
    } catch (error) {
      const named = Deno.env.get("DENORT_BIN") !== undefined;
      if (kind === "compiled" || named || !(error instanceof Error)) throw error;
      say(`compile: no denort (${error.message}); building with our own launcher instead`);
    }
  }
  return { kind: "launcher", ...await buildWithLauncher(target, draft, scratch, request.deno) };
}

async function compile(request: Request): Promise<void> {
  const { target, directory } = request;
  const name = fileNameOf(target);
  const draft = `${directory}/.${name}.new`;
  await Deno.mkdir(directory, { recursive: true });
  const scratch = await Deno.makeTempDir({ prefix: "denim-compile-" });
  try {
    const built = await build(request, draft, scratch);
    const runner = await runnerFor(target);
    const problem = runner === null ? null : await smokeTest(draft, runner);
    if (problem !== null) throw new Error(problem);
    const binary = Deno.readFileSync(draft);
    Deno.renameSync(draft, `${directory}/${name}`);
    describe(`${directory}/${name}`, { ...built, tried: runner !== null }, binary, target);
    writeSbom(`${directory}/${name}.cdx.json`, name, built, binary, target);
    writeSums(directory);
  } finally {
    await Deno.remove(draft).catch(() => {});
    await Deno.remove(scratch, { recursive: true });
  }
}

interface Made extends Built {
  readonly kind: Kind;
  readonly tried: boolean;
}

function describe(path: string, built: Made, binary: Uint8Array, target: Target): void {
  const short = (bytes: Uint8Array) => `${size(bytes.length).padStart(9)}  sha256 ${hex(sha256(bytes))}`;
  for (const [name, bytes] of built.parts) say(`  ${name.padEnd(14)} ${short(bytes)}`);
  const tried = built.tried ? "tried" : `not tried: that needs qemu-user-static here`;
  say(`${path.replace(`${top}/`, "")} ${version} for ${target.triple}, ${built.kind}, ${tried}`);
  say(`  ${"".padEnd(14)} ${short(binary)}`);
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function writeSbom(path: string, name: string, built: Built, binary: Uint8Array, target: Target): void {
  const text = sbom({
    lock: JSON.parse(Deno.readTextFileSync(`${top}/deno.lock`)),
    imports: project.imports,
    deno: built.deno,
    triple: target.triple,
    binary: { name, sha256: hex(sha256(binary)) },
    library: { sha256: hex(sha256(built.library)) },
    ...(built.launcher &&
      { launcher: { sha256: hex(sha256(built.launcher.bytes)), glibc: built.launcher.glibc } }),
  });
  Deno.writeTextFileSync(path, text);
}

/** Of every file of the directory that goes on a node, as `sha256sum --check` reads it. */
function writeSums(directory: string): void {
  const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
  const shipped = names.filter((name) => /^flanneld|^mk-docker-opts\.sh$/.test(name)).sort();
  const lines = shipped.map((name) => `${hex(sha256(Deno.readFileSync(`${directory}/${name}`)))}  ${name}\n`);
  Deno.writeTextFileSync(`${directory}/SHA256SUMS`, lines.join(""));
}

try {
  await compile(readRequest(Deno.args));
} catch (error) {
  say(`compile: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
