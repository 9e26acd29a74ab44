/** What both kinds of binary are made of: the bundled modules and the C library, for a target, from one commit. */
import { describeCommit } from "../src/cli/commit.ts";
import { bundle, withBuild } from "./compile_bundle.ts";
import { buildLibrary } from "./compile_native.ts";
import type { PackFile } from "./compile_pack.ts";
import type { Kind } from "./compile_request.ts";
import type { Target } from "./compile_target.ts";
import { top } from "./run.ts";

export interface Parts {
  readonly commit: string;
  readonly modules: readonly PackFile[];
  /** The C library. */
  readonly library: Uint8Array;
}

/** @throws Error where a step fails, in one line */
export async function makeParts(target: Target, scratch: string): Promise<Parts> {
  const commit = await describeCommit(top);
  const library = await buildLibrary(target);
  const modules = await bundle(`${scratch}/modules`);
  return { commit, modules, library };
}

/** What lies side by side at run time: the library, and the modules with the kind's prelude. */
export function filesOf({ commit, modules, library }: Parts, kind: Kind): PackFile[] {
  return [{ name: "libdenim.so", mode: 0o400, bytes: library }, ...withBuild(modules, { kind, commit })];
}
