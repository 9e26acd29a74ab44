/** The words that start this very program again: the binary itself, or Deno with main.ts. */
import { fileURLToPath } from "node:url";

export function selfCommand(): [string, ...string[]] {
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "--quiet", "-A", fileURLToPath(Deno.mainModule)];
}
