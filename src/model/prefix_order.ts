/**
 * Many prefixes at once, without comparing each with each. Prefixes nest or are apart, they never cross: sorted by where they
 * begin, wider before narrower, whatever lies inside one follows it. Building costs a sort, asking a binary search, whatever
 * lengths are mixed. No hash: whoever chooses the prefixes can't choose how long this takes.
 */
import { bits, families, type Family } from "./ip.ts";
import type { Prefix } from "./prefix.ts";

/** IPv4 first; by where they begin; of those that begin together the widest first. */
export function sorted(prefixes: Iterable<Prefix>): Prefix[] {
  const { 4: v4 = [], 6: v6 = [] } = Object.groupBy(prefixes, ({ ip }) => ip.family);
  return [...sortedV4(v4), ...v6.sort(compareV6)];
}

/** By plain numbers, which are compared many times as fast as big ones. */
function sortedV4(prefixes: readonly Prefix[]): Prefix[] {
  const keyed = prefixes.map((prefix) => ({ prefix, key: Number(prefix.ip.value) * 64 + prefix.length }));
  return keyed.sort((a, b) => a.key - b.key).map(({ prefix }) => prefix);
}

function compareV6(a: Prefix, b: Prefix): number {
  if (a.ip.value !== b.ip.value) return a.ip.value < b.ip.value ? -1 : 1;
  return a.length - b.length;
}

/** The last address in it, as a number. */
function lastOf({ ip, length }: Prefix): bigint {
  return ip.value | ((1n << BigInt(bits(ip.family) - length)) - 1n);
}

interface Block {
  readonly first: bigint;
  readonly last: bigint;
}

/** The addresses of many prefixes. */
export class PrefixCover {
  readonly #blocks: ReadonlyMap<Family, readonly Block[]>;

  constructor(prefixes: Iterable<Prefix>) {
    const inOrder = sorted(prefixes);
    this.#blocks = new Map(families.map((family) => [family, outermost(inOrder, family)]));
  }

  /** True where one of the prefixes holds all of `p`. */
  contains(p: Prefix): boolean {
    const block = this.#lastUpTo(p.ip.family, p.ip.value);
    return block !== undefined && lastOf(p) <= block.last;
  }

  /** True where one of the prefixes has an address of `p`. */
  overlaps(p: Prefix): boolean {
    const block = this.#lastUpTo(p.ip.family, lastOf(p));
    return block !== undefined && p.ip.value <= block.last;
  }

  /** The last block that begins at or before an address. */
  #lastUpTo(family: Family, value: bigint): Block | undefined {
    const blocks = this.#blocks.get(family)!;
    let [low, high] = [0, blocks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (blocks[middle]!.first <= value) low = middle + 1;
      else high = middle;
    }
    return blocks[low - 1];
  }
}

function outermost(sorted: readonly Prefix[], family: Family): Block[] {
  const blocks: Block[] = [];
  for (const p of sorted) {
    if (p.ip.family !== family) continue;
    const before = blocks.at(-1);
    if (before === undefined || before.last < p.ip.value) blocks.push({ first: p.ip.value, last: lastOf(p) });
  }
  return blocks;
}
