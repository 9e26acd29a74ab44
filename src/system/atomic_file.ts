/**
 * Writing a file so that a reader sees the old content or the new, never a part, also across a crash.
 *
 * A temporary file beside the target, fsync, rename. A new file has exactly the mode asked for, whatever the umask; an existing
 * one keeps the mode it had. Missing directories are made with mode 0755. The temporary file is gone after a failure.
 */
import { Failure } from "../model/errors.ts";
import { osErrorCode, osErrorText } from "./os_error.ts";
import { systemRandom } from "./random.ts";

export interface AtomicWriteOptions {
  /** What the file is, for error messages: `subnet file`. */
  readonly what: string;
  /** Mode of a file that is not there yet; 0644 unless told. */
  readonly mode?: number;
}

/** @throws Failure `write <what> "<path>": <state>; <way out>` */
export async function writeFileAtomic(
  path: string,
  content: string,
  options: AtomicWriteOptions,
): Promise<void> {
  try {
    await makeDirectory(directoryOf(path));
    await replaceFile(path, content, await modeOf(path) ?? options.mode ?? 0o644);
  } catch (thrown) {
    throw new Failure(`write ${options.what} "${path}": ${osErrorText(thrown)}; ${wayOut(thrown)}`);
  }
}

async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const temporary = `${directoryOf(path)}/.${name}${systemRandom.int(2 ** 32)}`;
  // Nobody else may read it before it has its mode: it can hold a key.
  const file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
  try {
    try {
      await writeAll(file, new TextEncoder().encode(content));
      await Deno.chmod(temporary, mode);
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (thrown) {
    await Deno.remove(temporary).catch(() => {});
    throw thrown;
  }
  await syncDirectory(directoryOf(path));
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

/** Makes the rename itself durable. Some file systems can't; the content is safe all the same. */
async function syncDirectory(path: string): Promise<void> {
  try {
    using directory = await Deno.open(path);
    await directory.sync();
  } catch {
    return;
  }
}

async function makeDirectory(path: string): Promise<void> {
  if (await exists(path)) return;
  await makeDirectory(directoryOf(path));
  try {
    await Deno.mkdir(path);
    await Deno.chmod(path, 0o755);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
  }
}

async function exists(path: string): Promise<boolean> {
  return await modeOf(path) !== null;
}

/** The permission bits; null where there is nothing. */
async function modeOf(path: string): Promise<number | null> {
  try {
    return ((await Deno.stat(path)).mode ?? 0o644) & 0o7777;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

const remedies: Readonly<Record<string, string>> = {
  EACCES: "run as root, or choose another path",
  EBUSY: "where the file is a mount of its own, mount its directory instead",
  EDQUOT: "make room",
  EISDIR: "choose the path of a file",
  ENOSPC: "make room",
  EPERM: "run as root, or choose another path",
  EROFS: "choose a path on a writable file system",
};

function wayOut(thrown: unknown): string {
  return remedies[osErrorCode(thrown) ?? ""] ?? "check the path";
}
