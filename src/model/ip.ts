/**
 * IP addresses of both families in one type.
 *
 * An address is its family and its value as an unsigned number of 32 or 128 bits; everything else (prefixes, arithmetic,
 * text, bytes) is one code path for v4 and v6. Text is RFC 4291 on input and RFC 5952 on output.
 * Values are frozen; compare them with `sameIp` or by their text, never with `===`.
 */

export type Family = 4 | 6;

export interface Ip {
  readonly family: Family;
  /** Unsigned, below 2^bits(family). */
  readonly value: bigint;
}

/** Both families, in the order in which everything is written and logged. */
export const families: readonly Family[] = [4, 6];

/** Width of an address in bits: 32 or 128. */
export function bits(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** The address with this value. */
export function ip(family: Family, value: bigint): Ip {
  return Object.freeze({ family, value: BigInt.asUintN(bits(family), value) });
}

/** The address in `text`, or null where it is not one. No prefix length, no zone, no leading zeros in v4. */
export function parseIp(text: string): Ip | null {
  const value = text.includes(":") ? parseV6(text) : parseV4(text);
  return value === null ? null : ip(text.includes(":") ? 6 : 4, value);
}

/** Dotted decimal, or RFC 5952: lower case, the longest run of zero groups as `::`. */
export function formatIp(address: Ip): string {
  return address.family === 4 ? formatV4(address.value) : formatV6(address.value);
}

export function sameIp(a: Ip | null, b: Ip | null): boolean {
  return a === null || b === null ? a === b : a.family === b.family && a.value === b.value;
}

/** The address `offset` further on (wraps around like the kernel's arithmetic). */
export function addToIp(address: Ip, offset: bigint): Ip {
  return ip(address.family, address.value + offset);
}

/** Network order: 4 or 16 bytes. */
export function ipBytes(address: Ip): Uint8Array {
  const out = new Uint8Array(bits(address.family) / 8);
  let rest = address.value;
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** The address in the first 4 or 16 bytes, network order. */
export function ipFromBytes(family: Family, bytes: Uint8Array): Ip {
  let value = 0n;
  for (let i = 0; i < bits(family) / 8; i++) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return ip(family, value);
}

/** True for 0.0.0.0 and `::`. */
export function isUnspecified(address: Ip): boolean {
  return address.value === 0n;
}

const ZERO = "0".charCodeAt(0);

function parseV4(text: string): bigint | null {
  // Tens of thousands of these are read: one pass, one BigInt.
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return null;
  let value = 0;
  let octet = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >= 0) octet = octet * 10 + digit;
    if (octet > 255) return null;
    if (digit >= 0) continue;
    value = value * 256 + octet;
    octet = 0;
  }
  return BigInt(value * 256 + octet);
}

function parseV6(text: string): bigint | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  const [head, tail] = [groups[0], halves.length === 2 ? groups[1] : []];
  if (!head || !tail) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const all = [...head, ...Array<bigint>(missing).fill(0n), ...tail];
  return all.reduce((value, group) => (value << 16n) | group, 0n);
}

/** The 16-bit groups of one side of `::`; the last may be dotted decimal. Null where malformed. */
function parseGroups(text: string, last: boolean): bigint[] | null {
  if (text === "") return [];
  const out: bigint[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes(".")) {
      const v4 = parseV4(part);
      if (v4 === null) return null;
      out.push(v4 >> 16n, v4 & 0xffffn);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(BigInt(`0x${part}`));
    } else {
      return null;
    }
  }
  return out;
}

function formatV4(value: bigint): string {
  const n = Number(value);
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

function formatV6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  const run = longestZeroRun(groups);
  const hex = (from: number, to: number) => groups.slice(from, to).map((g) => g.toString(16)).join(":");
  return run.length < 2 ? hex(0, 8) : `${hex(0, run.start)}::${hex(run.start + run.length, 8)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
