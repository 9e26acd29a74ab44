/**
 * The name of a daemon among several on one host. It ends up in device aliases, chain names and the abstract socket, all of
 * which are short: at most eight characters of a-z, 0-9 and the dash.
 */

export const defaultSubnetFile = "/run/flannel/subnet.env";
const longest = 8;

export function isInstanceName(text: string): boolean {
  return /^[a-z0-9-]{1,8}$/.test(text);
}

/**
 * `default` for the default file; otherwise the file's name without `.env`, or its directory's where the file is the usual
 * `subnet.env`. A name that is too long, or means nothing, ends in a hash of the path, so that two files stay two names.
 */
export function instanceOf(subnetFile: string): string {
  const parts = subnetFile.split("/").filter((part) => part !== "" && part !== ".");
  if ("/" + parts.join("/") === defaultSubnetFile) return "default";
  const base = (parts.at(-1) ?? "").replace(/\.env$/, "");
  const wanted = base === "subnet" ? parts.at(-2) ?? "" : base;
  const slug = wanted.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  if (slug !== "" && slug !== "default" && slug.length <= longest) return slug;
  return `${slug === "default" ? "" : slug.slice(0, 3)}-${hash(parts.join("/"))}`.replace(/^-/, "");
}

/** Four characters that differ for different paths: 32-bit FNV-1a in base 36, its low end. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value.toString(36).padStart(4, "0").slice(-4);
}
