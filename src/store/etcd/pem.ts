/**
 * PEM files as users have them: certificates and keys in one file or several, in any order, with explanations around them, line
 * ends of any system, indented, in UTF-8 or UTF-16 with a byte order mark. Pure.
 */

/** What stands between a BEGIN and its END, in the form that every parser takes. */
export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY`. */
  readonly label: string;
  readonly text: string;
}

/** All blocks of a file, in its order; what is cut off is none. */
export function pemBlocks(bytes: Uint8Array): PemBlock[] {
  const found = decoded(bytes).matchAll(/-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----/gs);
  return Array.from(found, ([, label = "", body = ""]) => {
    const lines = body.split(/\r\n?|\n/).map((line) => line.trim());
    return { label, text: `-----BEGIN ${label}-----\n${lines.join("\n").trim()}\n-----END ${label}-----\n` };
  });
}

/** Without a byte order mark. Text around the blocks may be in any encoding: nobody reads it. */
function decoded(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const wide = first === 0xff && second === 0xfe
    ? "utf-16le"
    : first === 0xfe && second === 0xff
    ? "utf-16be"
    : null;
  return new TextDecoder(wide ?? "latin1").decode(bytes);
}

export function isCertificate({ label }: PemBlock): boolean {
  return /^(TRUSTED |X509 )?CERTIFICATE$/.test(label);
}

export function isPrivateKey({ label }: PemBlock): boolean {
  return label.endsWith("PRIVATE KEY");
}

/** The key can't be used without its passphrase. */
export function isEncrypted({ label, text }: PemBlock): boolean {
  return label.startsWith("ENCRYPTED") || /^Proc-Type:.*ENCRYPTED/m.test(text);
}
