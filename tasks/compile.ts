/**
 * One file to put on a node: `deno task compile` makes dist/flanneld, with Deno, the modules and the C library inside.
 *
 * `deno compile` takes its base (denort) from Deno's own site, or from DENORT_BIN. Where it cannot be had, or is none, this
 * ends with one line and code 1: with a plain deno as its base the result would look like a binary and ignore its payload, so
 * what was made is asked for its version before it gets its name.
 */
import { version } from "../src/cli/version.ts";
import { capture, deno, say, top } from "./run.ts";
import { setup } from "./setup.ts";

const target = `${top}/dist/flanneld`;
const draft = `${target}.new`;

/** MB for new objects: a burst of leases then costs a quarter less memory at its peak (docs/performance.md). */
const SMALL_NURSERY = "--v8-flags=--max-semi-space-size=4";

/** What went wrong, or null. */
async function compile(): Promise<string | null> {
  const include = ["--include", "dist/libdenim.so"];
  const base = ["compile", "-A", "--no-check", SMALL_NURSERY];
  const made = await capture([deno, ...base, ...include, "--output", draft, "main.ts"]);
  if (made.code !== 0) return `deno compile: ${lastError(made.output)}`;
  const asked = await capture([draft, "version"]);
  if (asked.output.trim() === version) return null;
  return "the result is not our program: its base is no denort (see DENORT_BIN)";
}

function lastError(output: string): string {
  const lines = output.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.findLast((line) => /^error|denort|Download/i.test(line)) ?? lines.at(-1) ?? "no reason given";
}

const problem = await setup("demo") ? await compile() : "the C library is missing";
if (problem === null) {
  Deno.renameSync(draft, target);
  say(`dist/flanneld ${version}, ${Math.round(Deno.statSync(target).size / 1e6)} MB`);
} else {
  await Deno.remove(draft).catch(() => {});
  say(`compile "dist/flanneld": ${problem}; run it from source instead: deno run -A main.ts`);
}
Deno.exit(problem === null ? 0 : 1);
