/**
 * Ids of nexthop objects. An id is a number of 32 bits that all who make such objects on a host share, so ours are hashes of
 * what they stand for: a restart computes the same ones, two daemons of one host have different ones, and who chose an id
 * can be told by computing it again. Few others choose numbers above 2³⁰ (FRR starts at 1 and at 2²⁷).
 */

const FIRST = 0x40000000;
const COUNT = 0x40000000;

/** How many ids an object may have to try: the hash and those after it, for where another has it. */
export const CHOICES = 8;

/** The ids that an object can have, best first. */
export function nexthopIds(instance: string, device: string, gateway: string): number[] {
  const start = hash32(`${instance} ${device} ${gateway}`) % COUNT;
  return Array.from({ length: CHOICES }, (_, i) => FIRST + (start + i) % COUNT);
}

/** True for ids among which ours are. */
export function inNexthopRange(id: number): boolean {
  return id >= FIRST && id < FIRST + COUNT;
}

/** FNV-1a, its bits spread by the finaliser of MurmurHash3. */
function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
