/**
 * A second look before most of the network is torn down. A store that has lost its data, or serves an old state, looks
 * just like a cluster that has shrunk; when of four or more peers fewer than half would stay, deletions wait until a second
 * listing, at least five seconds later, agrees. Peers that went one after the other within such a time count together: a change
 * is acted on at once, so that what goes at once seldom comes at once.
 */
import type { Instant } from "../model/clock.ts";
import { families, type Family } from "../model/ip.ts";
import type { Losses } from "../plan/shrink.ts";

export const SECOND_LOOK_MS = 5_000;
const FEWEST = 4;

interface Departure {
  readonly at: Instant;
  readonly lost: Readonly<Record<Family, number>>;
}

export class ShrinkGuard {
  #since: Instant | null = null;
  #approved = false;
  /** Of the last `SECOND_LOOK_MS`, the oldest first. */
  #departures: Departure[] = [];

  /** True where deletions have to wait that cost so many peers. An approval is for one plan. */
  holds(losses: Losses, now: Instant): boolean {
    if (!this.#approved && this.shrinks(losses, now)) {
      this.#since ??= now;
      return true;
    }
    if (this.#approved) this.#departures = [];
    this.#since = null;
    this.#approved = false;
    return false;
  }

  /** So many have gone. */
  gone(losses: Losses, now: Instant): void {
    const lost = { 4: losses[4].lost, 6: losses[6].lost };
    if (lost[4] + lost[6] > 0) this.#departures.push({ at: now, lost });
  }

  /** True where, with these and those that have just gone, most are gone. */
  shrinks(losses: Losses, now: Instant): boolean {
    this.#departures = this.#departures.filter(({ at }) => now - at < SECOND_LOOK_MS);
    return families.some((family) => {
      const gone = this.#departures.reduce((sum, { lost }) => sum + lost[family], 0);
      const { before, lost } = losses[family];
      return lost > 0 && before + gone >= FEWEST && before - lost < (before + gone) / 2;
    });
  }

  /** How long until the second look is due; null while nothing is held. */
  dueIn(now: Instant): number | null {
    return this.#since === null ? null : Math.max(0, this.#since + SECOND_LOOK_MS - now);
  }

  /** The second listing agreed: the next plan may delete. */
  approve(): void {
    this.#approved = true;
  }

  /** The second listing disagreed: what it says is judged afresh. */
  restart(): void {
    this.#since = null;
  }
}
