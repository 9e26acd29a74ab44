/** The words that start this very program again: the binary itself, or Deno with main.ts. */
import { fileURLToPath } from "node:url";

/** Where the launcher's binary leaves its path: set before main.ts runs, by the prelude of its modules. */
const BINARY = Symbol.for("denim.binary");

export function selfCommand(): [string, ...string[]] {
  const binary: unknown = Reflect.get(globalThis, BINARY);
  if (typeof binary === "string") return [binary];
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "--quiet", "-A", fileURLToPath(Deno.mainModule)];
}
