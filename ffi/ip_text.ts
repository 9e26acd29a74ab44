/**
 * Addresses between text and bytes in place, for tens of thousands of records: no BigInt and no objects on the way.
 * The text is the same that `formatIp` writes.
 */
import { ipBytes, parseIp } from "../src/model/ip.ts";

/** The address of `family` (4 or 6) at `offset`. */
export function readIp(bytes: Uint8Array, offset: number, family: number): string {
  return family === 4
    ? `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`
    : readV6(bytes, offset);
}

/** Writes `text` at `offset` and returns its family, 4 or 6; 0 where it is no address. */
export function writeIp(bytes: Uint8Array, offset: number, text: string): number {
  if (writeV4(bytes, offset, text)) return 4;
  const parsed = parseIp(text);
  if (parsed === null) return 0;
  bytes.set(ipBytes(parsed), offset);
  return parsed.family;
}

/** Dotted decimal as everybody writes it; anything else is left to the full parser. */
function writeV4(bytes: Uint8Array, offset: number, text: string): boolean {
  let octet = 0;
  let digits = 0;
  let at = offset;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || octet > 255 || at === offset + 4) return false;
      bytes[at++] = octet;
      octet = digits = 0;
    } else {
      if (code < ZERO || code > NINE || (digits > 0 && octet === 0)) return false;
      octet = octet * 10 + code - ZERO;
      if (++digits > 3) return false;
    }
  }
  return at === offset + 4;
}

const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

function readV6(bytes: Uint8Array, offset: number): string {
  const [start, end] = longestZeroRun(bytes, offset);
  let text = "";
  for (let group = 0; group < 8; group++) {
    if (group === start) {
      text += "::";
      group = end - 1;
    } else {
      text += group === 0 || group === end
        ? hex(bytes, offset + 2 * group)
        : `:${hex(bytes, offset + 2 * group)}`;
    }
  }
  return text;
}

function hex(bytes: Uint8Array, offset: number): string {
  return word(bytes, offset).toString(16);
}

function word(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

/** The first longest run of two or more zero groups, as [start, end); [-1, -1] where there is none. */
function longestZeroRun(bytes: Uint8Array, offset: number): [number, number] {
  let best: [number, number] = [-1, -1];
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && word(bytes, offset + 2 * end) === 0) end++;
    if (end - start > 1 && end - start > best[1] - best[0]) best = [start, end];
    if (end > start) start = end;
  }
  return best;
}
