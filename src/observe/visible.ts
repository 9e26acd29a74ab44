/** Foreign words made fit for a terminal: what would act on it, break a line or turn the direction of writing is spelt out. */

/** Line ends and other control characters, made visible; the escapes are also JSON's. */
export function visible(text: string): string {
  // deno-lint-ignore no-control-regex -- finding them is the purpose
  return text.replace(/[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (char) => {
    if (char === "\n") return "\\n";
    if (char === "\t") return "\\t";
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
