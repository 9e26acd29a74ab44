/**
 * What a build says of itself. `deno task compile` puts it in front of the modules (tasks/compile_bundle.ts); a source tree has
 * none. Read it when it is needed and not while modules load: the modules that main.ts imports run before it is there.
 */

export interface Build {
  /** How dist/flanneld was made (docs/binary.md). */
  readonly kind: "launcher" | "compiled";
  /** As `describeCommit` gives it. */
  readonly commit: string;
  /** Where the file is that was started; the launcher tells, where it knows. */
  readonly binary?: string;
}

/** The global property that holds it. */
export const BUILD = "denim.build";

/** Null in a source tree, and in a program of somebody else's. */
export function readBuild(): Build | null {
  return (Reflect.get(globalThis, Symbol.for(BUILD)) as Build | undefined) ?? null;
}
