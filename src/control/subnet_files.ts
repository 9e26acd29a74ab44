/** The two forms of a `SubnetFile`: a file for other programs to read, and none at all. */
import { readSubnetEnv, writeSubnetEnv } from "../files/subnet_env.ts";
import type { Clock } from "../model/clock.ts";
import { untilAborted } from "../async/abortable.ts";
import { Failure, UsageError } from "../model/errors.ts";
import { shorten } from "../model/shown.ts";
import { osErrorCode, osErrorText } from "../system/os_error.ts";
import type { SubnetFile } from "./ports.ts";

/** How often is looked whether the file is the same. It is not watched: its directory can go, and come again. */
const LOOK_MS = 1_000;

/** The file at `path`, with what it said when this was called. @throws UsageError where no file can ever be there */
export async function openSubnetFile(path: string, clock: Clock): Promise<SubnetFile> {
  refuseImpossible(path);
  const previous = await readSubnetEnv(path);
  /** What the file was just before it was last read; null where nobody has read it since it was written. */
  let known: string | null = null;
  return {
    path,
    previous,
    read: async () => {
      known = identity(path);
      try {
        return await Deno.readTextFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return null;
        throw new Failure(`read subnet file "${path}": ${osErrorText(error)}; remove what is there`);
      }
    },
    write: async (text) => {
      await writeSubnetEnv(path, text);
      known = null;
    },
    async *changes(signal) {
      while (!signal.aborted) {
        await clock.sleep(LOOK_MS, signal).catch(() => {});
        if (!signal.aborted && identity(path) !== known) yield;
      }
    },
  };
}

/** What may pass, a full disk or a missing directory, is waited out; a wrong path is not. */
function refuseImpossible(path: string): void {
  const state = impossible(path);
  if (state === null) return;
  throw new UsageError(
    `use -subnet-file "${
      shorten(path, 200)
    }": ${state}; give the path of a file, like /run/flannel/subnet.env`,
  );
}

function impossible(path: string): string | null {
  try {
    return Deno.statSync(path).isDirectory ? "is a directory" : null;
  } catch (error) {
    const never = ["ENOTDIR", "ENAMETOOLONG", "ELOOP"].includes(osErrorCode(error) ?? "");
    return never ? osErrorText(error) : null;
  }
}

/** Another one for another file of this name, and for other content. */
function identity(path: string): string {
  try {
    const { dev, ino, size, mtime } = Deno.statSync(path);
    return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
  } catch (error) {
    return osErrorText(error);
  }
}

/** Nothing is written, nothing was there. */
export function noSubnetFile(): SubnetFile {
  let text: string | null = null;
  return {
    path: "(none)",
    previous: { networks: [], subnets: { v4: null, v6: null } },
    read: () => Promise.resolve(text),
    write: (wanted) => {
      text = wanted;
      return Promise.resolve();
    },
    async *changes(signal) {
      await untilAborted(signal);
      yield* [];
    },
  };
}
