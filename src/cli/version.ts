/** The version, from deno.json alone. */
import project from "../../deno.json" with { type: "json" };

/** Like a git tag: `v0.1.0`. */
export const version: string = `v${project.version}`;
