/**
 * The C parts of the binary, built where nobody else builds. Each is the same, byte for byte, wherever and whenever that is, for one
 * version of the compiler. make knows no paths with spaces, so it is given relative ones only: everything is built below the
 * sources' own build directory.
 */
import { basename } from "node:path";
import { succeed } from "./compile_bundle.ts";
import { checkProcessor } from "./compile_program.ts";
import { isNative, type Target } from "./compile_target.ts";
import { isStopping, removeTree, top } from "./run.ts";

/** libdenim.so, without what only a debugger reads. @throws Error where a step fails, in one line */
export async function buildLibrary(target: Target): Promise<Uint8Array> {
  using place = new Place();
  const made = `build/${place.name}/libdenim.so`;
  const variables = [`BUILD=build/${place.name}`, `LIBRARY=${made}`];
  await make("build the C library", "native", target, place, variables, "libdenim.so");
  const path = `${place.directory}/libdenim.so`;
  await succeed("strip the C library", [`${prefixOf(target)}strip`, "--strip-unneeded", path]);
  return Deno.readFileSync(path);
}

export interface Launcher {
  readonly bytes: Uint8Array;
  /** The version of the glibc that is linked into it. */
  readonly glibc: string;
}

/** @throws Error where a step fails, in one line */
export async function buildLauncher(target: Target): Promise<Launcher> {
  using place = new Place();
  const variables = [`BUILD=../build/${place.name}`];
  await make("build the launcher", "native/launcher", target, place, variables, "launcher");
  const macros = ["-E", "-dM", "-include", "features.h", "-x", "c", "/dev/null"];
  const defined = await succeed("ask the compiler for glibc's version", [...compilerOf(target), ...macros]);
  const part = (name: string) => new RegExp(`^#define ${name} (\\d+)$`, "m").exec(defined)?.[1] ?? "?";
  const glibc = `${part("__GLIBC__")}.${part("__GLIBC_MINOR__")}`;
  return { bytes: Deno.readFileSync(`${place.directory}/launcher`), glibc };
}

/** A directory of this build's own, for what is made and for the compiler's temporary files. */
class Place implements Disposable {
  readonly directory: string;
  readonly name: string;

  constructor() {
    const below = `${top}/native/build`;
    Deno.mkdirSync(below, { recursive: true });
    this.directory = Deno.makeTempDirSync({ dir: below, prefix: "compile-" });
    this.name = basename(this.directory);
  }

  [Symbol.dispose](): void {
    removeTree(this.directory);
  }
}

/** The words of CC for this machine's processor, as make takes them; the cross compiler for another. */
function compilerOf(target: Target): string[] {
  if (!isNative(target)) return [`${target.crossPrefix}gcc`];
  const words = (Deno.env.get("CC") ?? "").split(/\s+/).filter((word) => word !== "");
  return words.length > 0 ? words : ["cc"];
}

function prefixOf(target: Target): string {
  return isNative(target) ? "" : target.crossPrefix;
}

async function make(
  what: string,
  sources: string,
  target: Target,
  place: Place,
  variables: readonly string[],
  result: string,
): Promise<void> {
  const compiler = compilerOf(target);
  const needed = isNative(target) ? "gcc libc6-dev" : target.crossPackages;
  const found = await succeed(what, [...compiler, "--version"]).catch((error) => {
    if (isStopping()) throw error;
    return null;
  });
  if (found === null) {
    throw new Error(`${what}: there is no "${compiler.join(" ")}"; on Debian: apt-get install ${needed}`);
  }
  const command = ["make", "--silent", "--no-print-directory", "-j2", "-C", `${top}/${sources}`];
  const all = [`CC=${compiler.join(" ")}`, ...variables];
  await succeed(what, [...command, ...all], { env: { TMPDIR: place.directory } });
  const made = Deno.readFileSync(`${place.directory}/${result}`);
  checkProcessor(`${what} with "${compiler.join(" ")}"`, made, target);
}
