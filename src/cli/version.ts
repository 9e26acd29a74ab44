/** The version, from deno.json alone. */
import project from "../../deno.json" with { type: "json" };
import type { VerbIo } from "./verb.ts";

/** Like a git tag: `v0.1.0`. */
export const version: string = `v${project.version}`;

export const help = `Usage: flanneld version

Prints the version on standard output.
`;

/** The verb: the version on stdout (the flag `-version` prints it on stderr, as upstream). */
export function run(io: VerbIo): number {
  io.out(`${version}\n`);
  return 0;
}
