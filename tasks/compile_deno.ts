/**
 * Deno for the launcher kind. For this machine it is the very one that runs this task; for another it comes from npm, in the same
 * version, and npm checks its hash. Where npm has none, a file is named, and says its version itself.
 */
import { succeed } from "./compile_bundle.ts";
import { runnerFor } from "./compile_emulate.ts";
import { isNative, type Target } from "./compile_target.ts";

export interface Program {
  readonly bytes: Uint8Array;
  readonly version: string;
}

/** @throws Error where it can't be had, in one line */
export async function denoFor(target: Target, scratch: string, file: string | undefined): Promise<Program> {
  if (file !== undefined) return { bytes: read(file, target), version: await versionOf(file, target) };
  const path = isNative(target) ? Deno.execPath() : await fetchDeno(target, scratch);
  return { bytes: read(path, target), version: Deno.version.deno };
}

/** e_machine of an ELF header. */
const MACHINES = { x86_64: 62, aarch64: 183 };

function read(path: string, target: Target): Uint8Array {
  const bytes = Deno.readFileSync(path);
  const machine = bytes[18]! | bytes[19]! << 8;
  const elf = new TextDecoder().decode(bytes.subarray(0, 4)) === "\x7fELF";
  if (elf && machine === MACHINES[target.arch]) return bytes;
  throw new Error(`embed "${path}": it is no program for ${target.arch}`);
}

async function versionOf(path: string, target: Target): Promise<string> {
  const runner = await runnerFor(target);
  if (runner === null) throw new Error(`run "${path}": that needs qemu-user-static here`);
  const said = await succeed(`run "${path}"`, [...runner, path, "--version"]);
  const found = /^deno (\d+\.\d+\.\d+)/.exec(said)?.[1];
  if (found === undefined) throw new Error(`embed "${path}": it is no Deno`);
  return found;
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
