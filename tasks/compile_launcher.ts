/** dist/flanneld without denort: our launcher, Deno as npm has it, the bundled modules and the C library in one file. */
import { version } from "../src/cli/version.ts";
import type { Program } from "./compile_deno.ts";
import { buildLauncher, type Launcher } from "./compile_native.ts";
import { type PackFile, writePack } from "./compile_pack.ts";
import type { Target } from "./compile_target.ts";

/** @throws Error where a step fails, in one line */
export async function buildWithLauncher(
  parts: readonly PackFile[],
  target: Target,
  output: string,
  deno: Program,
): Promise<Launcher> {
  const launcher = await buildLauncher(target);
  const files = [{ name: "flanneld", mode: 0o500, bytes: deno.bytes }, ...parts];
  writePack(output, launcher.bytes, { version, needs: needsOf(deno.bytes), files });
  return launcher;
}

/** The newest version of glibc that the program names; Deno's binaries need nothing else that isn't everywhere. */
export function needsOf(program: Uint8Array): string {
  const text = new TextDecoder("latin1").decode(program.subarray(0, 1 << 20));
  const minors = [...text.matchAll(/\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)/g)].map((match) => Number(match[1]));
  if (minors.length === 0) throw new Error("read Deno's binary: it names no version of glibc");
  return `glibc 2.${Math.max(...minors)} or later, with libgcc_s.so.1`;
}
