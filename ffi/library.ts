/**
 * Finding, loading and checking the C library.
 *
 * One `Library` serves any number of users in the process; it is never unloaded while one of them lives, because closing it
 * is left to whoever loaded it. It is looked for, in this order: where the caller says, where DENIM_LIBRARY says, beside the
 * modules (a source tree, then a compiled binary). The first place that is given or exists decides: a broken library is
 * reported, not passed over for another.
 */
import { Failure, messageOf } from "../src/model/errors.ts";
import { ABI_VERSION, layout } from "./layout.ts";
import { type Symbols, symbols } from "./symbols.ts";

export interface Library extends Disposable {
  readonly path: string;
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
  return { path: found, symbols: library.symbols, [Symbol.dispose]: () => library.close() };
}

function findLibrary(): string {
  const fromEnvironment = Deno.env.get("DENIM_LIBRARY");
  if (fromEnvironment) return fromEnvironment;
  const here = import.meta.dirname ?? ".";
  const places = [`${here}/../dist/${FILE_NAME}`, `${here}/${FILE_NAME}`];
  const found = places.find(exists);
  if (found !== undefined) return found;
  throw new Failure(
    `load the C library "${FILE_NAME}": not found (no path was given, DENIM_LIBRARY is not set, and neither ` +
      `${places.map((place) => `"${place}"`).join(" nor ")} exists); build it with "deno task native"`,
  );
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function open(path: string): Deno.DynamicLibrary<typeof symbols> {
  try {
    return Deno.dlopen(path, symbols);
  } catch (error) {
    throw new Failure(
      `load the C library "${path}": ${
        messageOf(error)
      }; build it anew with "deno task native", or name another in ` +
        "DENIM_LIBRARY",
    );
  }
}

function handshake(path: string, library: Symbols): void {
  const version = library.denim_abi_version();
  const other = version === ABI_VERSION ? layoutDifference(library) : "";
  if (other === null) return;
  throw new Failure(
    `load the C library "${path}": it has interface version ${version}${other}, this program needs version ${ABI_VERSION}; ` +
      'build it anew with "deno task native"',
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
