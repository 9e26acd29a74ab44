/** The words and variables of `deno task compile`. Each is used or refused: none is passed over. */
import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "@std/cli";
import { type Target, targetOf, triples } from "./compile_target.ts";

const kinds = ["compiled", "launcher"] as const;
export type Kind = (typeof kinds)[number];

export interface Request {
  readonly target: Target;
  /** Undefined: whichever can be made. */
  readonly kind: Kind | undefined;
  /** Absolute. */
  readonly directory: string;
  /** The Deno of the launcher kind, absolute; without it this machine's or npm's. */
  readonly deno: string | undefined;
  /** The base of the compiled kind, absolute; without it the one of Deno's site. */
  readonly denort: string | undefined;
}

/** Where relative paths begin, and what is built for where nothing is said. */
export interface Surroundings {
  readonly directory: string;
  readonly arch: string;
  /** Where the result goes unless told. */
  readonly dist: string;
  /** The variable DENORT_BIN. */
  readonly denort: string | undefined;
}

/** @throws Error for words that this task doesn't know, in one line */
export function readRequest(args: readonly string[], around: Surroundings): Request {
  const given = readWords(args);
  const triple = given.get("target") ?? `${around.arch}-unknown-linux-gnu`;
  const target = targetOf(triple);
  if (target === undefined) throw new Error(`for "${triple}": the targets are ${triples.join(" and ")}`);
  const path = (text: string | undefined) =>
    text && (isAbsolute(text) ? text : resolve(around.directory, text));
  const deno = path(given.get("deno"));
  const directory = path(given.get("directory")) ?? around.dist;
  return {
    target,
    kind: kindOf(given.get("kind"), deno, around),
    directory,
    deno,
    denort: path(around.denort),
  };
}

/** Values by name; each name once. */
function readWords(args: readonly string[]): Map<string, string> {
  const names = ["kind", "target", "directory", "deno"] as const;
  const given = parseArgs(args, {
    string: names,
    collect: names,
    unknown: (word) => {
      throw new Error(
        `"${word}": give --kind=${kinds.join("|")}, --target=${
          triples.join("|")
        }, --directory=DIR, --deno=FILE`,
      );
    },
  });
  const values = new Map<string, string>();
  for (const name of names) {
    const [value, second] = given[name];
    if (second !== undefined) throw new Error(`--${name} "${second}": it was given before; give it once`);
    if (value === "") throw new Error(`--${name} "": it has no value; give --${name}=VALUE`);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

/** A base that is named decides the kind; of one that would not be used it is said. */
function kindOf(
  word: string | undefined,
  deno: string | undefined,
  { denort }: Surroundings,
): Kind | undefined {
  const kind = kinds.find((each) => each === word);
  if (word !== undefined && kind === undefined) {
    throw new Error(`kind "${word}": the kinds are ${kinds.join(" and ")}`);
  }
  if (deno !== undefined && kind === "compiled") {
    throw new Error(
      `--deno "${deno}": it goes into the launcher kind; name a denort in DENORT_BIN, or leave it out`,
    );
  }
  if (deno !== undefined && kind === undefined && denort !== undefined) {
    throw new Error(
      `--deno "${deno}" and DENORT_BIN "${denort}" are for different kinds; give --kind, or one of them`,
    );
  }
  return kind ?? (deno !== undefined ? "launcher" : denort !== undefined ? "compiled" : undefined);
}
