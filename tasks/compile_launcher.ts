/**
 * dist/flanneld without denort: our launcher, Deno as npm has it, the bundled modules and the C library in one file.
 *
 * Deno for this machine is the very one that runs this task; for another it comes from npm, in the same version, and npm checks
 * its hash. Where npm has none, --deno names a file.
 */
import { version } from "../src/cli/version.ts";
import { bundle, succeed } from "./compile_bundle.ts";
import { buildLauncher, buildLibrary } from "./compile_native.ts";
import { type PackFile, writePack } from "./compile_pack.ts";
import { isNative, type Target } from "./compile_target.ts";

export interface Built {
  /** The C library as it was embedded. */
  readonly library: Uint8Array;
  /** One line a part. */
  readonly parts: readonly (readonly [name: string, bytes: Uint8Array])[];
}

/** @throws Error where a step fails, in one line */
export async function buildWithLauncher(
  target: Target,
  output: string,
  scratch: string,
  denoFile?: string,
): Promise<Built> {
  const modules = await bundle(`${scratch}/modules`);
  const library = await buildLibrary(target, scratch);
  const launcher = await buildLauncher(target, scratch);
  const program = denoFile === undefined ? await denoFor(target, scratch) : readDeno(denoFile, target);
  const files: PackFile[] = [
    { name: "flanneld", mode: 0o500, bytes: program },
    { name: "libdenim.so", mode: 0o400, bytes: library },
    ...modules,
  ];
  writePack(output, launcher, { version, needs: needsOf(program), files });
  const code = joined(modules.map(({ bytes }) => bytes));
  const parts: Built["parts"] = [
    ["launcher", launcher],
    [denoFile === undefined ? `Deno ${Deno.version.deno}` : "Deno, as given", program],
    [`${modules.length} modules`, code],
    ["libdenim.so", library],
  ];
  return { library, parts };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** e_machine of an ELF header. */
const MACHINES = { x86_64: 62, aarch64: 183 };

/** A Deno that somebody has brought. @throws Error where it is none for this target */
function readDeno(path: string, target: Target): Uint8Array {
  const bytes = Deno.readFileSync(path);
  const machine = bytes[18]! | bytes[19]! << 8;
  const elf = new TextDecoder().decode(bytes.subarray(0, 4)) === "\x7fELF";
  if (elf && machine === MACHINES[target.arch]) return bytes;
  throw new Error(`embed "${path}": it is no program for ${target.arch}`);
}

async function denoFor(target: Target, scratch: string): Promise<Uint8Array> {
  if (isNative(target)) return Deno.readFileSync(Deno.execPath());
  const name = `${target.npmPackage}@${Deno.version.deno}`;
  await succeed(`fetch "${name}" from npm`, [
    "npm",
    "pack",
    "--loglevel=error",
    "--pack-destination",
    scratch,
    name,
  ]);
  const archive = [...Deno.readDirSync(scratch)].find((entry) => entry.name.endsWith(".tgz"));
  if (archive === undefined) throw new Error(`fetch "${name}" from npm: it has made no file`);
  await succeed(`unpack "${name}"`, ["tar", "-xzf", `${scratch}/${archive.name}`, "-C", scratch]);
  return Deno.readFileSync(`${scratch}/package/deno`);
}

/** The newest version of glibc that the program names; Deno's binaries need nothing else that isn't everywhere. */
export function needsOf(program: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(program.subarray(0, 1 << 20));
  const minors = [...text.matchAll(/\0GLIBC_2\.(\d+)(?:\.\d+)?\0/g)].map((match) => Number(match[1]));
  if (minors.length === 0) throw new Error("read Deno's binary: it names no version of glibc");
  return `glibc 2.${Math.max(...minors)} or later, with libgcc_s.so.1`;
}
