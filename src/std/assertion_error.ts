/** What every failed assertion throws, and the form of its message. */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** The built-in text, followed by what the caller had to say. */
export function failed(text: string, msg?: string): string {
  return msg === undefined || msg === "" ? text : `${text}: ${msg}`;
}
