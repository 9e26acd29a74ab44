/** Writing whole texts to the standard streams. */

/** Where its reader has gone away (`| head -1`), nothing is left to do: that ends the process, without a word. */
export function writeStdout(text: string): void {
  try {
    writeWhole(Deno.stdout, text);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.BrokenPipe)) throw thrown;
    Deno.exit(0);
  }
}

/** A reader that has gone away stops nobody. */
export function writeStderr(text: string): void {
  try {
    writeWhole(Deno.stderr, text);
  } catch {
    // There is nobody to tell.
  }
}

function writeWhole(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(to.writeSync(bytes));
}
