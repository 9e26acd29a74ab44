/**
 * Writing the archive that the launcher reads: launcher, files, index, trailer in one file. native/launcher/pack.h describes the
 * format and holds the other half of it; the numbers here and there are the same.
 */
import { createHash } from "node:crypto";

const HEAD = 128;
const ENTRY = 128;
const TRAILER = 64;
const MAX_FILES = 128;
const MAGIC = "denimpk1";
/** Files begin on a page, which lets the kernel copy and map them as they are. */
const ALIGNMENT = 4096;

export interface PackFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mode: number;
}

export interface Pack {
  readonly version: string;
  /** What the program needs of a system, for people. */
  readonly needs: string;
  readonly files: readonly PackFile[];
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

export function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Placed extends PackFile {
  readonly offset: number;
  readonly hash: Uint8Array;
}

/** Of the directory that it is extracted to: versions, and builds of one version, each have their own. */
function packName(version: string, files: readonly Placed[]): string {
  const all = files.map(({ name, mode, hash }) => `${name} ${mode} ${hex(hash)}\n`).join("");
  return `${version}-${hex(sha256(new TextEncoder().encode(all))).slice(0, 16)}`;
}

/** The pieces of the file in their order, each with its offset. @throws RangeError where a name or text doesn't fit. */
export function composePack(launcher: Uint8Array, pack: Pack): { offset: number; bytes: Uint8Array }[] {
  if (pack.files.length > MAX_FILES) {
    throw new RangeError(`pack ${pack.files.length} files: at most ${MAX_FILES}`);
  }
  let end = launcher.length;
  const files = pack.files.map((file): Placed => {
    const offset = aligned(end);
    end = offset + file.bytes.length;
    return { ...file, offset, hash: sha256(file.bytes) };
  });
  const index = composeIndex(packName(pack.version, files), pack.needs, files);
  const indexOffset = aligned(end);
  const trailer = composeTrailer(index, indexOffset);
  return [
    { offset: 0, bytes: launcher },
    ...files.map(({ offset, bytes }) => ({ offset, bytes })),
    { offset: indexOffset, bytes: index },
    { offset: indexOffset + index.length, bytes: trailer },
  ];
}

function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

function composeIndex(name: string, needs: string, files: readonly Placed[]): Uint8Array {
  const bytes = new Uint8Array(HEAD + files.length * ENTRY);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length, true);
  putText(bytes.subarray(8, 64), name);
  putText(bytes.subarray(64, 128), needs);
  files.forEach((file, i) => {
    const at = HEAD + i * ENTRY;
    putText(bytes.subarray(at, at + 64), file.name);
    view.setUint32(at + 64, file.mode, true);
    view.setBigUint64(at + 72, BigInt(file.offset), true);
    view.setBigUint64(at + 80, BigInt(file.bytes.length), true);
    bytes.set(file.hash, at + 88);
  });
  return bytes;
}

function composeTrailer(index: Uint8Array, offset: number): Uint8Array {
  const bytes = new Uint8Array(TRAILER);
  const view = new DataView(bytes.buffer);
  putText(bytes.subarray(0, 9), MAGIC);
  view.setBigUint64(8, BigInt(offset), true);
  view.setBigUint64(16, BigInt(index.length), true);
  view.setBigUint64(24, BigInt(offset + index.length + TRAILER), true);
  bytes.set(sha256(index), 32);
  return bytes;
}

/** With at least one zero byte behind it. */
function putText(field: Uint8Array, text: string): void {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length >= field.length) {
    throw new RangeError(`pack "${text}": ${bytes.length} bytes, at most ${field.length - 1}`);
  }
  field.set(bytes);
}

/** Writes the file, executable. */
export function writePack(path: string, launcher: Uint8Array, pack: Pack): void {
  using file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o755 });
  for (const { offset, bytes } of composePack(launcher, pack)) {
    file.seekSync(offset, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
  }
}
