/**
 * Values at prefixes that come and go, and for any prefix those that overlap it: at wider ones around it, at itself, at narrower
 * ones inside. A path-compressed binary trie for each family: as many nodes as twice the prefixes, and as deep as their bits at
 * most, so that nobody who chooses the prefixes chooses how long an answer takes. What an answer costs is its depth and its
 * length, not how many prefixes there are.
 *
 * Addresses are words of 32 bits in here, the highest first: numbers of that size cost a hundredth of big ones.
 */
import { bits, families, type Family, ip } from "./ip.ts";
import { type Prefix, prefix } from "./prefix.ts";

type Words = readonly number[];

/** The first `length` bits of `words`; those behind are zero. */
interface Key {
  readonly words: Words;
  readonly length: number;
}

/** Without values it is a fork: its two children differ in the bit behind its prefix. */
interface Node<T> extends Key {
  readonly values: Set<T>;
  readonly children: [zero: Node<T> | null, one: Node<T> | null];
}

export class PrefixTrie<T> {
  readonly #roots: Readonly<Record<Family, Node<T>>>;

  constructor() {
    const [v4, v6] = families.map((family) => node<T>(keyOf(prefix(ip(family, 0n), 0))));
    this.#roots = { 4: v4!, 6: v6! };
  }

  add(at: Prefix, value: T): void {
    const key = keyOf(at);
    let parent = this.#roots[at.ip.family];
    while (parent.length < key.length) {
      const side = bitOf(key, parent.length);
      const child: Node<T> | null = parent.children[side];
      if (child !== null && contains(child, key)) {
        parent = child;
        continue;
      }
      const made = node<T>(key);
      parent.children[side] = child === null ? made : joined(made, child);
      parent = made;
    }
    parent.values.add(value);
  }

  /** Nothing happens where the value is not there. */
  remove(at: Prefix, value: T): void {
    const path = this.#pathTo(keyOf(at), at.ip.family);
    const last = path.at(-1)!;
    if (last.length !== at.length || !last.values.delete(value)) return;
    // The node itself, and the fork above that has lost its reason.
    for (let i = path.length - 1; i > 0 && path[i]!.values.size === 0; i--) {
      const [here, parent] = [path[i]!, path[i - 1]!];
      const [zero, one] = here.children;
      if (zero !== null && one !== null) return;
      parent.children[bitOf(here, parent.length)] = zero ?? one;
    }
  }

  /** For tests: nodes, with the two roots. */
  get nodes(): number {
    const count = (at: Node<T> | null): number =>
      at === null ? 0 : 1 + count(at.children[0]) + count(at.children[1]);
    return count(this.#roots[4]) + count(this.#roots[6]);
  }

  /** Each value as often as it was added at different prefixes. */
  overlapping(asked: Prefix): T[] {
    const key = keyOf(asked);
    const found: T[] = [];
    let last = this.#roots[asked.ip.family];
    for (let here: Node<T> | null = last; here !== null && contains(here, key);) {
      last = here;
      found.push(...here.values);
      here = here.length < key.length ? here.children[bitOf(key, here.length)] : null;
    }
    const below: (Node<T> | null)[] = last.length === key.length
      ? [...last.children]
      : [last.children[bitOf(key, last.length)]];
    while (below.length > 0) {
      const here = below.pop()!;
      if (here === null || !contains(key, here)) continue;
      found.push(...here.values);
      below.push(...here.children);
    }
    return found;
  }

  /** The nodes around `to`, the widest first, and at it where there is one. */
  #pathTo(to: Key, family: Family): Node<T>[] {
    const path = [this.#roots[family]];
    for (let here = path[0]!; here.length < to.length;) {
      const child = here.children[bitOf(to, here.length)];
      if (child === null || !contains(child, to)) break;
      path.push(here = child);
    }
    return path;
  }
}

function node<T>({ words, length }: Key): Node<T> {
  return { words, length, values: new Set(), children: [null, null] };
}

/** Both under one node: the new one where it holds the other, else a fork where they part. */
function joined<T>(made: Node<T>, old: Node<T>): Node<T> {
  const top = contains(made, old) ? made : node<T>(common(made, old));
  for (const each of made === top ? [old] : [made, old]) top.children[bitOf(each, top.length)] = each;
  return top;
}

function keyOf({ ip: { family, value }, length }: Prefix): Key {
  if (family === 4) return { words: [masked(Number(value), length)], length };
  const count = bits(family) / 32;
  const word = (i: number) => Number(value >> BigInt(32 * (count - 1 - i)) & 0xffffffffn);
  return { words: Array.from({ length: count }, (_, i) => masked(word(i), length - 32 * i)), length };
}

/** The first `length` bits of a word. */
function masked(word: number, length: number): number {
  if (length <= 0) return 0;
  return length >= 32 ? word >>> 0 : (word & ~(0xffffffff >>> length)) >>> 0;
}

/** The bit that parts what lies inside a prefix of length `n`. */
function bitOf({ words }: Key, n: number): 0 | 1 {
  return words[n >> 5]! >>> (31 - (n & 31)) & 1 ? 1 : 0;
}

/** True where `b` lies inside `a`, or is it. */
function contains(a: Key, b: Key): boolean {
  if (a.length > b.length) return false;
  for (let i = 0; 32 * i < a.length; i++) {
    if (masked(b.words[i]!, a.length - 32 * i) !== a.words[i]) return false;
  }
  return true;
}

/** The narrowest that holds both. */
function common(a: Key, b: Key): Key {
  const i = a.words.findIndex((word, i) => word !== b.words[i]);
  const same = i < 0 ? 32 * a.words.length : 32 * i + Math.clz32(a.words[i]! ^ b.words[i]!);
  const length = Math.min(same, a.length, b.length);
  return { words: a.words.map((word, i) => masked(word, length - 32 * i)), length };
}
