/**
 * Finding, loading and checking the C library.
 *
 * One `Library` serves any number of users in the process; it is never unloaded while one of them lives, because closing it
 * is left to whoever loaded it. It is looked for, in this order: where the caller says, where DENIM_LIBRARY says, beside the
 * modules. The first place that is given or exists decides: a broken library is reported, not passed over for another.
 *
 * Beside the modules means: in their own directory (dist/flanneld, other people's bundles), or, as long as this module lies in
 * the source tree's ffi/, in the tree's dist/. No other directory is looked into, because others may write there. Paths are made
 * without "..", which the file system inside a program of `deno compile` does not know.
 */
import { basename, dirname } from "node:path";
import { readBuild } from "../src/model/build.ts";
import { Failure, messageOf } from "../src/model/errors.ts";
import { ABI_VERSION, layout } from "./layout.ts";
import { memoryFile } from "./memory_file.ts";
import { type Symbols, symbols } from "./symbols.ts";

export interface Library extends Disposable {
  readonly path: string;
  /** Loaded from memory: `path` is inside the program. */
  readonly embedded: boolean;
  readonly symbols: Symbols;
}

const FILE_NAME = "libdenim.so";

/**
 * Loads the library.
 *
 * @param path where it is; without it the usual places
 * @throws {Failure} where there is none, it cannot be loaded, or it does not fit this program
 */
export function loadLibrary(path?: string): Library {
  const found = path ?? findLibrary();
  const library = open(found);
  try {
    handshake(found, library.symbols);
  } catch (error) {
    library.close();
    throw error;
  }
  const embedded = isEmbedded(found);
  return { path: found, embedded, symbols: library.symbols, [Symbol.dispose]: () => library.close() };
}

function findLibrary(): string {
  const fromEnvironment = Deno.env.get("DENIM_LIBRARY");
  if (fromEnvironment) return fromEnvironment;
  const places = libraryPlaces(import.meta.dirname);
  const found = places.find(exists);
  if (found !== undefined) return found;
  const looked = places.map((place) => `"${place}"`).join(" and ") ||
    "beside the modules, which are on no disk";
  throw new Failure(
    `load the C library "${FILE_NAME}": no path was given, DENIM_LIBRARY is not set, not found at ${looked}; ${wayOut()}`,
  );
}

/** @param directory of this module; undefined where it is on no disk */
export function libraryPlaces(directory: string | undefined): string[] {
  if (directory === undefined) return [];
  const tree = basename(directory) === "ffi" ? [`${dirname(directory)}/dist/${FILE_NAME}`] : [];
  return [`${directory}/${FILE_NAME}`, ...tree];
}

function wayOut(): string {
  return readBuild() === null ? 'build it with "deno task native"' : "install flanneld anew";
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Paths of embedded libraries, by where they are embedded: one copy in memory serves the process. */
const inMemory = new Map<string, string>();

function open(path: string): Deno.DynamicLibrary<typeof symbols> {
  try {
    return Deno.dlopen(isEmbedded(path) ? copyInMemory(path) : path, symbols);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const text = messageOf(error);
    throw new Failure(`load the C library "${path}": ${text}; ${wayOut()}, or name another in DENIM_LIBRARY`);
  }
}

/** In a program of `deno compile`, what lies beside the modules. */
function isEmbedded(path: string): boolean {
  return Deno.build.standalone && libraryPlaces(import.meta.dirname).includes(path);
}

function copyInMemory(path: string): string {
  const copy = inMemory.get(path) ?? memoryFile(FILE_NAME, Deno.readFileSync(path));
  inMemory.set(path, copy);
  return copy;
}

function handshake(path: string, library: Symbols): void {
  const version = library.denim_abi_version();
  const other = version === ABI_VERSION ? layoutDifference(library) : "";
  if (other === null) return;
  throw new Failure(
    `load the C library "${path}": it has interface version ${version}${other}, this program needs version ${ABI_VERSION}; ` +
      wayOut(),
  );
}

/** Where the library's records differ from ours, as text; null where they don't. */
function layoutDifference(library: Symbols): string | null {
  const theirs = new Uint32Array(layout.length);
  const count = library.denim_layout(theirs, theirs.length);
  if (count !== layout.length) return ` with ${count} layout values instead of ${layout.length}`;
  const different = layout.find(({ value }, i) => theirs[i] !== value);
  return different === undefined ? null : ` with another layout of "${different.name}"`;
}
