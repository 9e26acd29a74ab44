/**
 * dist/flanneld by `deno compile`. Its base, denort, is what DENORT_BIN names or comes from Deno's own site. A plain deno as the
 * base gives a file that looks right and ignores its payload; the smoke test that follows every build notices.
 *
 * What is compiled are the modules and the C library of the launcher kind, in a directory that holds nothing else. Deno embeds the
 * files' times, so they get one; it embeds no path, because all files lie beside the main module.
 */
import { MAIN } from "./compile_bundle.ts";
import type { PackFile } from "./compile_pack.ts";
import { checkProcessor, denoVersionIn, readProgram } from "./compile_program.ts";
import type { Target } from "./compile_target.ts";
import { capture, deno } from "./run.ts";

/**
 * --no-code-cache: otherwise every start reads V8's code from a file in the directory for temporary files, which anybody may have
 * put there. The small nursery (MB) is the launcher's: a burst of leases costs a quarter of its memory less, and no time.
 */
export const OPTIONS: readonly string[] = [
  "--quiet",
  "-A",
  "--no-check",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--no-remote",
  "--no-code-cache",
  "--v8-flags=--max-semi-space-size=4",
];

/** @param denort where it is; undefined: on Deno's site. @throws Error where a step fails, in one line */
export async function buildWithDenort(
  files: readonly PackFile[],
  target: Target,
  output: string,
  scratch: string,
  denort: string | undefined,
): Promise<void> {
  const directory = `${scratch}/program`;
  writeProgram(directory, files);
  const places = ["--include", "libdenim.so", "--target", target.triple, "--output", output];
  const command = [deno, "compile", ...OPTIONS, ...places, MAIN];
  const made = await capture(command, {
    cwd: directory,
    env: denort === undefined ? {} : { DENORT_BIN: denort },
  });
  if (made.code !== 0) throw reasonOf(made.output);
  checkBase("check what deno compile made", Deno.readFileSync(output), target);
}

/** Of a base that is named, before anything is made. @throws Error where it can't be used, in one line */
export function checkDenort(path: string, target: Target): void {
  const what = `use DENORT_BIN "${path}"`;
  checkBase(what, readProgram(what, path), target);
}

/** The payload behind a base is of one version only. */
function checkBase(what: string, bytes: Uint8Array, target: Target): void {
  checkProcessor(what, bytes, target);
  const version = denoVersionIn(bytes);
  if (version === Deno.version.deno) return;
  const found = version === null ? "it is no denort" : `it is of Deno ${version}`;
  throw new Error(`${what}: ${found}; a denort ${Deno.version.deno} is needed`);
}

/** Files as they are embedded: nothing of the time, the umask or the place of the build. */
export function writeProgram(directory: string, files: readonly PackFile[]): void {
  Deno.mkdirSync(directory);
  for (const { name, bytes } of files) {
    Deno.writeFileSync(`${directory}/${name}`, bytes);
    Deno.chmodSync(`${directory}/${name}`, 0o644);
    Deno.utimeSync(`${directory}/${name}`, 0, 0);
  }
}

function reasonOf(output: string): Error {
  const url = /https:\/\/[^\s)]*denort[^\s)]*/.exec(output)?.[0];
  if (url !== undefined) return new Error(`could not download "${url}"`);
  const lines = output.trim().split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return new Error(
    `deno compile: ${lines.find((line) => /^error/i.test(line)) ?? lines.at(-1) ?? "no reason given"}`,
  );
}
