/**
 * A file in memory, for the C library of a program that `deno compile` made: the dynamic loader can't read the program's embedded
 * files, and no directory has to be found for a copy. It has no name that another process could write to, works where every
 * directory is read-only or mounted noexec, and goes with the process.
 */
import { Failure, messageOf } from "../src/model/errors.ts";

/** memfd_create(2). */
const MFD_CLOEXEC = 1;

/**
 * @param name for /proc/self/maps, where it shows what is loaded
 * @returns the path under which this process, and no other, can load it
 * @throws Failure where the kernel gives none
 */
export function memoryFile(name: string, bytes: Uint8Array): string {
  const descriptor = create(name);
  const path = `/proc/self/fd/${descriptor}`;
  try {
    if (descriptor < 0) throw new Error("memfd_create is refused");
    Deno.writeFileSync(path, bytes, { create: false });
    return path;
  } catch (error) {
    throw new Failure(
      `load the C library "${name}" from memory: ${
        messageOf(error)
      }; allow memfd_create and mount /proc, or name ` +
        `a libdenim.so on a disk in DENIM_LIBRARY`,
    );
  }
}

/** The descriptor, which stays open; -1 where the kernel refuses one. */
function create(name: string): number {
  const libc = Deno.dlopen("libc.so.6", { memfd_create: { parameters: ["buffer", "u32"], result: "i32" } });
  try {
    return libc.symbols.memfd_create(new TextEncoder().encode(`${name}\0`), MFD_CLOEXEC);
  } finally {
    libc.close();
  }
}
