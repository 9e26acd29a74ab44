/** Addresses and prefixes as texts, compared bit by bit: for what is worked out without the product's code. */

export function familyOfText(text: string): 4 | 6 {
  return text.includes(":") ? 6 : 4;
}

/** True where the address or prefix lies in the prefix `within`; one that is longer does not contain it. */
export function inside(text: string, within: string): boolean {
  if (familyOfText(text) !== familyOfText(within)) return false;
  const [inner, outer] = [text, within].map((each) => each.split("/") as [string, string?]);
  const length = Number(outer![1]);
  const own = inner![1] === undefined ? Infinity : Number(inner![1]);
  return own >= length && bitsOf(inner![0]).startsWith(bitsOf(outer![0]).slice(0, length));
}

/** True where the two prefixes share an address. */
export function overlapping(a: string, b: string): boolean {
  return inside(a, b) || inside(b, a);
}

const known = new Map<string, string>();

/** The address as a text of zeros and ones. */
function bitsOf(address: string): string {
  const bits = known.get(address) ?? (address.includes(":") ? bits6(address) : bits4(address));
  if (known.size > 10_000) known.clear();
  known.set(address, bits);
  return bits;
}

function bits4(address: string): string {
  return address.split(".").map((octet) => Number(octet).toString(2).padStart(8, "0")).join("");
}

/** Without the form that ends in an IPv4 address. */
function bits6(address: string): string {
  const [left = "", right] = address.split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const [before, after] = [groups(left), groups(right ?? "")];
  const zeros = right === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(zeros).fill("0"), ...after]
    .map((group) => parseInt(group, 16).toString(2).padStart(16, "0")).join("");
}
