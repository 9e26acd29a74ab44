/**
 * A set of prefixes that answers "does anything here overlap this?" fast where lengths are few, as subnets of one network
 * are: one hash look-up per length present that is not longer; only for longer ones the members of that length are walked.
 */
import { overlaps, type Prefix, prefix } from "../model/prefix.ts";

export class PrefixSet {
  readonly #byLength = new Map<string, Map<bigint, Prefix>>();

  add(p: Prefix): void {
    const key = `${p.ip.family}/${p.length}`;
    const members = this.#byLength.get(key) ?? new Map<bigint, Prefix>();
    this.#byLength.set(key, members.set(p.ip.value, p));
  }

  /** A member that overlaps `p`, or null. */
  overlapping(p: Prefix): Prefix | null {
    for (const members of this.#byLength.values()) {
      const found = findIn(members, p);
      if (found) return found;
    }
    return null;
  }
}

function maskedTo(p: Prefix, length: number): bigint {
  return length === p.length ? p.ip.value : prefix(p.ip, length).ip.value;
}

/** `members` are all of one family and length. */
function findIn(members: ReadonlyMap<bigint, Prefix>, p: Prefix): Prefix | null {
  const [first] = members.values();
  if (!first || first.ip.family !== p.ip.family) return null;
  if (first.length <= p.length) return members.get(maskedTo(p, first.length)) ?? null;
  for (const candidate of members.values()) if (overlaps(candidate, p)) return candidate;
  return null;
}
