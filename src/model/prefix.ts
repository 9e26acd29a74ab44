/**
 * Prefixes (CIDR blocks) of both families: parsing, arithmetic, containment. The address of a `Prefix` is always masked.
 */
import { addToIp, bits, type Family, formatIp, type Ip, ip, parseIp } from "./ip.ts";

export interface Prefix {
  /** The network address: every bit beyond `length` is zero. */
  readonly ip: Ip;
  readonly length: number;
}

/** The prefix of `length` that `address` lies in. */
export function prefix(address: Ip, length: number): Prefix {
  const host = BigInt(bits(address.family) - length);
  return Object.freeze({ ip: ip(address.family, (address.value >> host) << host), length });
}

/** `a.b.c.d/n` or `v6/n`, masked; null where malformed. */
export function parsePrefix(text: string): Prefix | null {
  const parsed = parseInterfaceAddress(text);
  return parsed && prefix(parsed.address, parsed.length);
}

/** Like `parsePrefix`, but the host bits are kept: `10.1.74.1/24` is an address on a link and its prefix length. */
export function parseInterfaceAddress(text: string): { address: Ip; length: number } | null {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = match?.[1] === undefined ? null : parseIp(match[1]);
  const length = Number(match?.[2]);
  return address === null || length > bits(address.family) ? null : { address, length };
}

export function formatPrefix(p: Prefix): string {
  return `${formatIp(p.ip)}/${p.length}`;
}

/** How many addresses the prefix has. */
export function prefixSize(p: Prefix): bigint {
  return 1n << BigInt(bits(p.ip.family) - p.length);
}

/** The first address after the prefix; wraps at the end of the address space. */
export function prefixEnd(p: Prefix): Ip {
  return addToIp(p.ip, prefixSize(p));
}

export function familyOf(p: Prefix): Family {
  return p.ip.family;
}

export function samePrefix(a: Prefix | null, b: Prefix | null): boolean {
  if (a === null || b === null) return a === b;
  return a.ip.family === b.ip.family && a.ip.value === b.ip.value && a.length === b.length;
}

/** True where `address` lies in `p` (never across families). */
export function containsIp(p: Prefix, address: Ip): boolean {
  if (p.ip.family !== address.family) return false;
  // Asked of every lease against every network: plain numbers are many times as fast.
  const host = bits(p.ip.family) - p.length;
  if (address.family === 4) {
    const size = 2 ** host;
    return Math.floor(Number(address.value) / size) === Math.floor(Number(p.ip.value) / size);
  }
  return address.value >> BigInt(host) === p.ip.value >> BigInt(host);
}

/** True where `inner` lies wholly in `outer`, equality included. */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && containsIp(outer, inner.ip);
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return containsPrefix(a, b) || containsPrefix(b, a);
}

/** The fewest prefixes that have every address from `first` to `last`, and no other. */
export function prefixesBetween(first: Ip, last: Ip): Prefix[] {
  const found: Prefix[] = [];
  for (let start = first.value; start <= last.value;) {
    const from = ip(first.family, start);
    let length = bits(first.family);
    while (length > 0 && startsAt(prefix(from, length - 1), start, last.value)) length--;
    const widest = prefix(from, length);
    found.push(widest);
    start += prefixSize(widest);
  }
  return found;
}

function startsAt(p: Prefix, start: bigint, last: bigint): boolean {
  return p.ip.value === start && start + prefixSize(p) - 1n <= last;
}
