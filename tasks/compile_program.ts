/**
 * Programs that others have built, read before they are shipped: for which processor they are, and which Deno is inside. Both are
 * read from the file, so it need not be run here.
 */
import type { Target } from "./compile_target.ts";

/** e_machine of an ELF header. */
const MACHINES: Readonly<Record<number, string>> = { 62: "x86_64", 183: "aarch64" };

/** The processor that an ELF file is for: `x86_64`, `aarch64`, `machine 40`; null where it is no ELF file. */
export function processorOf(bytes: Uint8Array): string | null {
  if (bytes.length < 64 || new TextDecoder("latin1").decode(bytes.subarray(0, 4)) !== "\x7fELF") return null;
  const machine = bytes[18]! | bytes[19]! << 8;
  return MACHINES[machine] ?? `machine ${machine}`;
}

/** @param what for the message: `use DENORT_BIN "/x"`. @throws Error where it is for another processor, in one line */
export function checkProcessor(what: string, bytes: Uint8Array, target: Target): void {
  const processor = processorOf(bytes);
  if (processor === target.arch) return;
  const found = processor === null ? "it is no program" : `it is a program for ${processor}`;
  throw new Error(`${what}: ${found}; one for ${target.arch} is needed`);
}

const MARK = new TextEncoder().encode("Deno/");

/** The version that deno and denort give in the HTTP header `User-Agent`, where one is inside; a part of another word is none. */
export function denoVersionIn(bytes: Uint8Array): string | null {
  for (let at = find(bytes, MARK, 0); at >= 0; at = find(bytes, MARK, at + 1)) {
    if (bytes[at - 1] === "-".charCodeAt(0)) continue;
    const text = new TextDecoder("latin1").decode(bytes.subarray(at, at + 24));
    const version = /^Deno\/(\d+\.\d+\.\d+)(?!\d)/.exec(text)?.[1];
    if (version !== undefined) return version;
  }
  return null;
}

function find(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const first = wanted[0]!;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

/** @param what for the message. @throws Error where it can't be read, in one line */
export function readProgram(what: string, path: string): Uint8Array {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "no such file" : String((error as Error).message);
    throw new Error(`${what}: ${reason.replace(/: (open|readfile).*$/, "")}`);
  }
}
