/**
 * One file to put on a node: `deno task compile` makes dist/flanneld, with Deno, the modules and the C library inside.
 *
 * Two kinds, with the same behaviour (docs/binary.md): "compiled" by `deno compile`, whose base (denort) comes from Deno's own
 * site or from DENORT_BIN; "launcher", with a launcher of ours in front of the Deno that npm has. Without --kind it is the first
 * where denort can be had and the second elsewhere. A file that was not run successfully never gets its name; beside it lie its
 * hash and a list of what it is made of.
 */
import { version } from "../src/cli/version.ts";
import { joined, packagesIn } from "./compile_bundle.ts";
import { denoFor } from "./compile_deno.ts";
import { buildWithDenort, checkDenort } from "./compile_denort.ts";
import { runnerFor } from "./compile_emulate.ts";
import { buildWithLauncher } from "./compile_launcher.ts";
import type { Launcher } from "./compile_native.ts";
import { hex, sha256 } from "./compile_pack.ts";
import { filesOf, makeParts, type Parts } from "./compile_parts.ts";
import { type Kind, readRequest, type Request } from "./compile_request.ts";
import { sbom } from "./compile_sbom.ts";
import { smokeTest, type Tried } from "./compile_smoke.ts";
import { fileNameOf, type Target } from "./compile_target.ts";
import { removeTree, say, top, unwindOnSignals } from "./run.ts";

interface Built {
  readonly kind: Kind;
  readonly parts: Parts;
  /** Its version. */
  readonly deno: string;
  /** Of that kind only. */
  readonly launcher?: Launcher;
  readonly tried: Tried;
}

/** By deno compile, where that is asked for or works; else with the launcher. */
async function build(request: Request, draft: string, scratch: string, stop: AbortSignal): Promise<Built> {
  const { target, kind, denort } = request;
  if (kind !== "launcher" && denort !== undefined) checkDenort(denort, target);
  // A file that is named is read before anything is made.
  const named = request.deno === undefined ? null : await denoFor(target, scratch, request.deno);
  const parts = await makeParts(target, scratch);
  const runner = await runnerFor(target);
  if (kind !== "launcher") {
    try {
      await buildWithDenort(filesOf(parts, "compiled"), target, draft, scratch, denort);
      return {
        kind: "compiled",
        parts,
        deno: Deno.version.deno,
        tried: await smokeTest(draft, runner, scratch, `${Deno.version.deno} ${target.triple}`),
      };
    } catch (error) {
      if (kind === "compiled" || stop.aborted) throw error;
      say(`compile: no compiled kind (${(error as Error).message}); building with our own launcher instead`);
    }
  }
  const deno = named ?? await denoFor(target, scratch, undefined);
  const launcher = await buildWithLauncher(filesOf(parts, "launcher"), target, draft, deno);
  return {
    kind: "launcher",
    parts,
    deno: deno.version,
    launcher,
    tried: await smokeTest(draft, runner, scratch, `${deno.version} ${target.triple}`),
  };
}

async function compile(request: Request, stop: AbortSignal): Promise<void> {
  const { target, directory } = request;
  const name = fileNameOf(target);
  await Deno.mkdir(directory, { recursive: true });
  const scratch = await Deno.makeTempDir({ dir: directory, prefix: `.${name}-` });
  try {
    const draft = `${scratch}/${name}`;
    const built = await build(request, draft, scratch, stop);
    const binary = Deno.readFileSync(draft);
    Deno.chmodSync(draft, 0o755);
    stop.throwIfAborted();
    Deno.renameSync(draft, `${directory}/${name}`);
    describe(`${directory}/${name}`, built, binary, target);
    writeText(`${directory}/${name}.cdx.json`, describeParts(name, built, binary, target));
    writeSums(directory);
  } finally {
    removeTree(scratch);
  }
}

function describe(
  path: string,
  { kind, parts, deno, launcher, tried }: Built,
  binary: Uint8Array,
  target: Target,
): void {
  const line = (name: string, bytes: Uint8Array) =>
    say(`  ${name.padEnd(14)} ${size(bytes.length).padStart(9)}  sha256 ${hex(sha256(bytes))}`);
  if (launcher !== undefined) line("launcher", launcher.bytes);
  line(`${parts.modules.length} modules`, joined(parts.modules.map(({ bytes }) => bytes)));
  line("libdenim.so", parts.library);
  say(`  ${`Deno ${deno}`.padEnd(14)} for ${target.triple}, commit ${parts.commit}`);
  say(`${path.replace(`${top}/`, "")} ${version}, ${kind}, ${tried}`);
  line("", binary);
}

function size(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The list of what is inside. */
function describeParts(name: string, built: Built, binary: Uint8Array, target: Target): string {
  const { kind, parts, deno, launcher } = built;
  return sbom({
    lock: JSON.parse(Deno.readTextFileSync(`${top}/deno.lock`)),
    packages: packagesIn(parts.modules),
    kind,
    commit: parts.commit,
    deno,
    triple: target.triple,
    binary: { name, sha256: hex(sha256(binary)) },
    library: { sha256: hex(sha256(parts.library)) },
    ...(launcher && { launcher: { sha256: hex(sha256(launcher.bytes)), glibc: launcher.glibc } }),
  });
}

const SHIPPED = /^flanneld|^mk-docker-opts\.sh$|^docker\.service\.d\//;

/** Of files, with those of directories below. */
function namesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
    isDirectory ? namesIn(`${directory}/${name}`).map((below) => `${name}/${below}`) : name
  );
}

/** Of every file of the directory that goes on a node, as `sha256sum --check` reads it. */
function writeSums(directory: string): void {
  const shipped = namesIn(directory).filter((name) => SHIPPED.test(name)).sort();
  const lines = shipped.map((name) => `${hex(sha256(Deno.readFileSync(`${directory}/${name}`)))}  ${name}\n`);
  writeText(`${directory}/SHA256SUMS`, lines.join(""));
}

/** Readable by everybody, whatever the umask. */
function writeText(path: string, text: string): void {
  Deno.writeTextFileSync(path, text);
  Deno.chmodSync(path, 0o644);
}

try {
  const request = readRequest(Deno.args, {
    directory: Deno.env.get("INIT_CWD") ?? Deno.cwd(),
    arch: Deno.build.arch,
    dist: `${top}/dist`,
    denort: Deno.env.get("DENORT_BIN"),
  });
  await compile(request, unwindOnSignals());
} catch (error) {
  say(`compile: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
