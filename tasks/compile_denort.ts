/**
 * dist/flanneld by `deno compile`. Its base, denort, is what DENORT_BIN names or comes from Deno's own site. A plain deno as the
 * base gives a file that looks right and ignores its payload; the smoke test that follows every build notices.
 *
 * It is compiled in a copy of the sources, where dist/ holds the library for the target.
 */
import type { Built } from "./compile_launcher.ts";
import { buildLibrary } from "./compile_native.ts";
import type { Target } from "./compile_target.ts";
import { capture, deno, top } from "./run.ts";

/** What main.ts is made of. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "src", "ffi"];

/** MB for new objects, as in the launcher: a burst of leases costs a quarter of its memory less, and no time. */
const SMALL_NURSERY = "--v8-flags=--max-semi-space-size=4";

/** @throws Error where a step fails, in one line */
export async function buildWithDenort(target: Target, output: string, scratch: string): Promise<Built> {
  checkBase();
  const tree = `${scratch}/tree`;
  await Deno.mkdir(`${tree}/dist`, { recursive: true });
  const library = await buildLibrary(target, scratch);
  await Deno.writeFile(`${tree}/dist/libdenim.so`, library);
  const copied = await capture(["cp", "-a", ...SOURCES.map((name) => `${top}/${name}`), tree]);
  if (copied.code !== 0) throw new Error(`copy the sources: ${copied.output.trim()}`);
  const places = ["--config", `${tree}/deno.json`, "--include", `${tree}/dist/libdenim.so`];
  const options = ["--quiet", "-A", "--no-check", SMALL_NURSERY, ...places, "--target", target.triple];
  const made = await capture([deno, "compile", ...options, "--output", output, `${tree}/main.ts`]);
  if (made.code !== 0) throw new Error(`deno compile: ${reason(made.output)}`);
  return { library, parts: [["libdenim.so", library]], deno: Deno.version.deno };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Deno doesn't name the variable when its file is missing. */
function checkBase(): void {
  const path = Deno.env.get("DENORT_BIN");
  if (path === undefined || isFile(path)) return;
  throw new Error(`use DENORT_BIN "${path}": no such file; give a denort ${Deno.version.deno}, or unset it`);
}

function reason(output: string): string {
  const url = /https:\/\/[^\s)]*denort[^\s)]*/.exec(output)?.[0];
  if (url !== undefined) return `could not download "${url}"`;
  const lines = output.trim().split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.find((line) => /^error/i.test(line)) ?? lines.at(-1) ?? "no reason given";
}
