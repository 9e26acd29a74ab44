/**
 * `flanneld version`: what this program is made of, for people and scripts. The first line is the version alone, as `-version`
 * prints it; each further line is a name, a colon and a value.
 */
import { dirname } from "node:path";
import { ABI_VERSION } from "../../ffi/layout.ts";
import { loadLibrary } from "../../ffi/library.ts";
import { readBuild } from "../model/build.ts";
import { messageOf, UsageError } from "../model/errors.ts";
import { describeCommit, UNKNOWN } from "./commit.ts";
import { quotedWord } from "./hide.ts";
import type { VerbIo } from "./verb.ts";
import { version } from "./version.ts";

export const help = `Usage: flanneld version

Prints the version, and a line each for: the commit that it was built from, its kind (launcher, compiled or source),
Deno's version, the C library's interface and place.
`;

/** @throws UsageError for words: it takes none */
export async function run({ args, out }: VerbIo): Promise<number> {
  if (args.length > 0) {
    throw new UsageError(
      `version ${quotedWord(args[0]!)}: a word too many; it takes none (see flanneld version --help)`,
    );
  }
  const build = readBuild();
  const lines = [
    version,
    `commit: ${build?.commit ?? await sourceCommit()}`,
    `kind: ${build?.kind ?? "source"}`,
    `deno: ${Deno.version.deno} ${Deno.build.target}`,
    `library: ${describeLibrary()}`,
  ];
  out(lines.map((line) => `${line}\n`).join(""));
  return 0;
}

async function sourceCommit(): Promise<string> {
  const here = import.meta.dirname;
  return here === undefined ? UNKNOWN : await describeCommit(dirname(dirname(here)));
}

/** A program without its library can still say what it is. */
function describeLibrary(): string {
  try {
    using library = loadLibrary();
    return `interface ${ABI_VERSION}, ${library.embedded ? "in memory" : library.path}`;
  } catch (error) {
    return messageOf(error);
  }
}
