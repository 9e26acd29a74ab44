/**
 * Foreign values in messages: whatever somebody wrote, the message stays one that can be read.
 */

/** `text` of at most `most` characters (UTF-16 units), with an ellipsis where some are left out. */
export function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** A value as JSON, cut after 60 characters; "nothing" where there is none. */
export function shownJson(value: unknown): string {
  return shorten(JSON.stringify(value) ?? "nothing", 60);
}
