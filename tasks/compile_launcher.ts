/** dist/flanneld without denort: our launcher, Deno as npm has it, the bundled modules and the C library in one file. */
import { version } from "../src/cli/version.ts";
import { bundle } from "./compile_bundle.ts";
import { denoFor } from "./compile_deno.ts";
import { buildLauncher, buildLibrary, type Launcher } from "./compile_native.ts";
import { type PackFile, writePack } from "./compile_pack.ts";
import type { Target } from "./compile_target.ts";

export interface Built {
  /** The C library as it was embedded. */
  readonly library: Uint8Array;
  /** Its version. */
  readonly deno: string;
  /** Of that kind only. */
  readonly launcher?: Launcher;
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
  const deno = await denoFor(target, scratch, denoFile);
  const files: PackFile[] = [
    { name: "flanneld", mode: 0o500, bytes: deno.bytes },
    { name: "libdenim.so", mode: 0o400, bytes: library },
    ...modules,
  ];
  writePack(output, launcher.bytes, { version, needs: needsOf(deno.bytes), files });
  const code = joined(modules.map(({ bytes }) => bytes));
  const parts: Built["parts"] = [
    ["launcher", launcher.bytes],
    [`Deno ${deno.version}`, deno.bytes],
    [`${modules.length} modules`, code],
    ["libdenim.so", library],
  ];
  return { library, parts, deno: deno.version, launcher };
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

/** The newest version of glibc that the program names; Deno's binaries need nothing else that isn't everywhere. */
export function needsOf(program: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(program.subarray(0, 1 << 20));
  const minors = [...text.matchAll(/\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)/g)].map((match) => Number(match[1]));
  if (minors.length === 0) throw new Error("read Deno's binary: it names no version of glibc");
  return `glibc 2.${Math.max(...minors)} or later, with libgcc_s.so.1`;
}
