/**
 * Foreign values in messages: whatever somebody wrote, the message stays one that can be read.
 */

/** `text` of at most `most` characters (UTF-16 units), with an ellipsis where some are left out. */
export function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** A value as JSON, cut after 60 characters, with nothing invisible in it; "nothing" where there is none. */
export function shownJson(value: unknown): string {
  return escaped(shorten(JSON.stringify(value) ?? "nothing", 60));
}

/** What nobody sees: controls, formats (zero width, byte order mark), line separators, spaces that are no plain space. */
const invisible = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** Every invisible character as JSON's escape: `\u200b`. */
export function escaped(text: string): string {
  return text.replace(invisible, (char) => char.split("").map(escape).join(""));
}

function escape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** `U+200B`; null for a character that can be seen. */
export function invisibleCode(char: string): string | null {
  if (escaped(char) === char) return null;
  return `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}
