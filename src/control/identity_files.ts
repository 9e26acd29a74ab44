/**
 * The host's id in files: `host-id` in the state directory, or `host-id.NAME` of another instance, and a copy beside the subnet
 * file. Whoever uses the state directory's holds a lock on it, so that two processes are never one host.
 *
 * A state directory that can't be written is no reason not to run: the copy lasts until the next reboot, and after that the host
 * is known by its address, as flannel's are.
 */
import type { Random } from "../model/clock.ts";
import { Failure } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { osErrorText } from "../system/os_error.ts";
import { Identity, type IdentityPlace, type IdentitySource } from "./identity.ts";

export interface IdentityFiles {
  readonly directory: string;
  readonly instance: string;
  /** Null where none is written: then there is no copy. */
  readonly subnetFile: string | null;
}

/** Where state is kept unless told. @param given by the service manager: one directory, or several with colons between */
export function stateDirectory(given: string | undefined): string {
  return given?.split(":")[0] || "/var/lib/flannel";
}

/** Longer than any that we write. */
const LONGEST = 4096;

export function identityFiles(
  { directory, instance, subnetFile }: IdentityFiles,
  random: Random,
  log: Log,
): IdentitySource & Disposable {
  const path = `${directory}/host-id${instance === "default" ? "" : `.${instance}`}`;
  const places = [fileAt(path), ...subnetFile === null ? [] : [fileAt(`${subnetFile}.host-id`)]];
  let held: Deno.FsFile | null = null;
  return {
    open: async () => {
      held ??= lock(`${path}.lock`, log);
      return await Identity.open(places, random, log);
    },
    look: () => Identity.look(places, log),
    [Symbol.dispose]: () => held?.close(),
  };
}

/** The lock, for as long as the file is open; null where none can be had. @throws Failure where another process has it */
function lock(path: string, log: Log): Deno.FsFile | null {
  let file: Deno.FsFile;
  try {
    Deno.mkdirSync(path.replace(/\/[^/]*$/, "") || "/", { recursive: true, mode: 0o755 });
    file = Deno.openSync(path, { create: true, write: true, mode: 0o600 });
  } catch (error) {
    log.debug(`lock "${path}": ${osErrorText(error)}`);
    return null;
  }
  if (tryLock(file)) return file;
  file.close();
  throw new Failure(
    `use the state directory's "${
      path.replace(/\.lock$/, "")
    }": another process on this machine is this host already; ` +
      "give this one a -state-dir of its own, or an -instance",
  );
}

function tryLock(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    // A file system without locks, like some of a network: two daemons would be noticed by what they write.
    return true;
  }
}

function fileAt(path: string): IdentityPlace {
  return {
    path,
    read: async () => {
      try {
        using file = await Deno.open(path);
        const buffer = new Uint8Array(LONGEST);
        const length = await file.read(buffer) ?? 0;
        return new TextDecoder().decode(buffer.subarray(0, length));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw new Failure(`read the host's id from "${path}": ${osErrorText(error)}`);
      }
    },
    write: (text) => writeFileAtomic(path, text, { what: "the host's id to", mode: 0o600 }),
  };
}
