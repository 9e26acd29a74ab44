/**
 * The C parts of the binary, built where nobody else builds. Each is the same, byte for byte, wherever and whenever that is, for one
 * version of the compiler.
 */
import { succeed } from "./compile_bundle.ts";
import { isNative, type Target } from "./compile_target.ts";
import { top } from "./run.ts";

/** libdenim.so, without what only a debugger reads. @throws Error where a step fails, in one line */
export async function buildLibrary(target: Target, scratch: string): Promise<Uint8Array> {
  const path = `${scratch}/libdenim.so`;
  await make("build the C library", `${top}/native`, target, scratch);
  await succeed("strip the C library", [`${prefixOf(target)}strip`, "--strip-unneeded", path]);
  return Deno.readFileSync(path);
}

export interface Launcher {
  readonly bytes: Uint8Array;
  /** The version of the glibc that is linked into it. */
  readonly glibc: string;
}

/** @throws Error where a step fails, in one line */
export async function buildLauncher(target: Target, scratch: string): Promise<Launcher> {
  await make("build the launcher", `${top}/native/launcher`, target, scratch);
  const macros = ["-E", "-dM", "-include", "features.h", "-x", "c", "/dev/null"];
  const defined = await succeed("ask the compiler for glibc's version", [compilerOf(target), ...macros]);
  const part = (name: string) => new RegExp(`^#define ${name} (\\d+)$`, "m").exec(defined)?.[1] ?? "?";
  return {
    bytes: Deno.readFileSync(`${scratch}/launcher`),
    glibc: `${part("__GLIBC__")}.${part("__GLIBC_MINOR__")}`,
  };
}

function compilerOf(target: Target): string {
  return isNative(target) ? Deno.env.get("CC") ?? "cc" : `${target.crossPrefix}gcc`;
}

function prefixOf(target: Target): string {
  return isNative(target) ? "" : target.crossPrefix;
}

async function make(what: string, directory: string, target: Target, scratch: string): Promise<void> {
  const compiler = compilerOf(target);
  const needed = isNative(target) ? "gcc libc6-dev" : target.crossPackages;
  const found = await succeed(what, [compiler, "--version"]).catch(() => null);
  if (found === null) {
    throw new Error(`${what}: there is no "${compiler}"; on Debian: apt-get install ${needed}`);
  }
  const variables = [`CC=${compiler}`, `BUILD=${scratch}`, `LIBRARY=${scratch}/libdenim.so`];
  await succeed(what, ["make", "--silent", "--no-print-directory", "-j2", "-C", directory, ...variables]);
}
