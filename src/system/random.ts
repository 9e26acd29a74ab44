/** Real chance, from the system's generator: for subnets, jitter and transaction names. Not a place for secrets' lifetimes. */
import type { Random } from "../model/clock.ts";

const range = 2 ** 32;

export const systemRandom: Random = {
  /** @throws RangeError unless 1 ≤ below ≤ 2^32 and whole */
  int(below: number): number {
    if (!Number.isInteger(below) || below < 1 || below > range) {
      throw new RangeError(`draw a random number below ${below}: outside 1 to 2^32; pass a whole number`);
    }
    // The tail of the range that does not divide evenly would favour small numbers: draw again.
    const fair = range - (range % below);
    const word = new Uint32Array(1);
    let drawn = range;
    while (drawn >= fair) drawn = crypto.getRandomValues(word)[0] ?? range;
    return drawn % below;
  },
};
