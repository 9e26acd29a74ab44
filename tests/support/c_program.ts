/** Small programs in C beside this file, for what tests need of the kernel: built on first use, gone with the test process. */
import { run } from "./process.ts";

let directory: string | null = null;
const built = new Map<string, Promise<string>>();

/** The path of the program made of `NAME.c`. @throws Error where it can't be built */
export function cProgram(name: string): Promise<string> {
  const known = built.get(name) ?? build(name);
  built.set(name, known);
  return known;
}

async function build(name: string): Promise<string> {
  const path = `${place()}/${name}`;
  const source = new URL(`./${name}.c`, import.meta.url).pathname;
  await run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path, source]);
  return path;
}

function place(): string {
  if (directory === null) {
    const made = directory = Deno.makeTempDirSync({ prefix: "denim-programs-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
  }
  return directory;
}
