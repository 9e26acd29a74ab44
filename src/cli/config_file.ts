/** The file of `--config-file`, and who may read it: it can hold a password. */

/** @throws what the runtime does where it cannot be read */
export function readFile(path: string): { text: string; readableByOthers: boolean } {
  // Editors of other systems write a byte order mark in front.
  const text = Deno.readTextFileSync(path).replace(/^\ufeff/, "");
  return { text, readableByOthers: ((Deno.statSync(path).mode ?? 0) & 0o044) !== 0 };
}
