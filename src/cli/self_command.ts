/** The words that start this very program again: the binary itself, or Deno with main.ts. */
import { fileURLToPath } from "node:url";
import { readBuild } from "../model/build.ts";

export function selfCommand(): [string, ...string[]] {
  const binary = readBuild()?.binary;
  if (binary !== undefined) return [binary];
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "--quiet", "-A", fileURLToPath(Deno.mainModule)];
}
