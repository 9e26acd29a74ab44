/**
 * Who has claimed a prefix first: claims come one after the other, and one that overlaps an earlier one is to be refused. All
 * prefixes that will be asked about are known beforehand, so each knows the next wider one around it (`prefix_order.ts`), and
 * a claim is marked on those around it. After the sort, all claims together cost a walk over their nesting, which is at most
 * as deep as there are lengths.
 */
import { sorted } from "./prefix_order.ts";
import { containsPrefix, type Prefix, samePrefix } from "./prefix.ts";

interface Place {
  readonly prefix: Prefix;
  /** The narrowest that holds this one. */
  readonly around: Place | null;
}

/** How many prefixes lie in each other. */
export class PrefixNesting {
  readonly #places = new Map<Prefix, Place>();

  constructor(prefixes: Iterable<Prefix>) {
    let last: Place | null = null;
    for (const prefix of sorted(prefixes)) {
      if (last === null || !samePrefix(last.prefix, prefix)) {
        last = { prefix, around: holderOf(prefix, last) };
      }
      this.#places.set(prefix, last);
    }
  }

  /** @param prefix one of those given at first, the very object */
  at(prefix: Prefix): Place {
    return this.#places.get(prefix)!;
  }
}

/** Claims of one sort; those of another sort on the same prefixes don't see them. */
export class PrefixClaims {
  readonly #claimed = new Set<Place>();
  /** A claim inside the place. Where there is one, whatever is around knows of one too. */
  readonly #inside = new Map<Place, Prefix>();

  constructor(readonly nesting: PrefixNesting) {}

  /** A claim that overlaps this prefix, or null. @param prefix one of the nesting's */
  overlapping(prefix: Prefix): Prefix | null {
    const place = this.nesting.at(prefix);
    for (let holder: Place | null = place; holder !== null; holder = holder.around) {
      if (this.#claimed.has(holder)) return holder.prefix;
    }
    return this.#inside.get(place) ?? null;
  }

  claim(prefix: Prefix): void {
    const place = this.nesting.at(prefix);
    this.#claimed.add(place);
    for (let at = place.around; at !== null && !this.#inside.has(at); at = at.around) {
      this.#inside.set(at, prefix);
    }
  }
}

/** Of the place before in order and those around it, the narrowest that holds the prefix. */
function holderOf(prefix: Prefix, before: Place | null): Place | null {
  let holder = before;
  while (holder !== null && !containsPrefix(holder.prefix, prefix)) holder = holder.around;
  return holder;
}
