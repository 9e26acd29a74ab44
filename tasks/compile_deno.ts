/**
 * Deno for the launcher kind. For this machine it is the very one that runs this task; for another it comes from npm, in the same
 * version, and npm checks its hash. A file that is named may be of any version; which one is read from it.
 */
import { succeed } from "./compile_bundle.ts";
import { checkProcessor, denoVersionIn, readProgram } from "./compile_program.ts";
import { isNative, type Target } from "./compile_target.ts";

export interface Program {
  readonly bytes: Uint8Array;
  readonly version: string;
}

/** @throws Error where it can't be had, in one line */
export async function denoFor(target: Target, scratch: string, file: string | undefined): Promise<Program> {
  const path = file ?? (isNative(target) ? Deno.execPath() : await fetchDeno(target, scratch));
  const bytes = readProgram(`embed "${path}"`, path);
  checkProcessor(`embed "${path}"`, bytes, target);
  const version = denoVersionIn(bytes);
  if (version === null) throw new Error(`embed "${path}": it is no Deno`);
  if (file === undefined && version !== Deno.version.deno) {
    throw new Error(`embed "${path}": it is Deno ${version}, not ${Deno.version.deno}`);
  }
  return { bytes, version };
}

async function fetchDeno(target: Target, scratch: string): Promise<string> {
  const name = `${target.npmPackage}@${Deno.version.deno}`;
  const pack = ["npm", "pack", "--loglevel=error", "--pack-destination", scratch, name];
  await succeed(`fetch "${name}" from npm`, pack);
  const archive = [...Deno.readDirSync(scratch)].find((entry) => entry.name.endsWith(".tgz"));
  if (archive === undefined) throw new Error(`fetch "${name}" from npm: it has made no file`);
  await succeed(`unpack "${name}"`, ["tar", "-xzf", `${scratch}/${archive.name}`, "-C", scratch]);
  return `${scratch}/package/deno`;
}
