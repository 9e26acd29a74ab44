/** Foreign words made fit for a terminal: what would act on it, break a line or turn the direction of writing is spelt out. */

import { escaped } from "../model/shown.ts";

/** Line ends and other control characters, made visible; the escapes are also JSON's. */
export function visible(text: string): string {
  return escaped(text.replaceAll("\n", "\\n").replaceAll("\t", "\\t"));
}
