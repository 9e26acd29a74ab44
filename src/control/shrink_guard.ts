/**
 * A second look before most of the network is torn down. A store that has lost its data, or serves an old state, looks
 * just like a cluster that has shrunk; when of four or more peers fewer than half would stay, deletions wait until a second
 * listing, at least five seconds later, agrees. A peer counts whatever its objects are, in each family by itself, and as long
 * as it keeps one of them or gets another.
 */
import type { Instant } from "../model/clock.ts";
import type { Observed, Plan } from "../model/plan.ts";
import { shrinks } from "../plan/shrink.ts";

export const SECOND_LOOK_MS = 5_000;

export class ShrinkGuard {
  #since: Instant | null = null;
  #approved = false;

  /** True where the plan's deletions have to wait; `observed` is what it was made from. */
  holds(plan: Plan, observed: readonly Observed[], now: Instant): boolean {
    if (this.#approved || !shrinks(plan, observed)) {
      this.#since = null;
      this.#approved = false;
      return false;
    }
    this.#since ??= now;
    return true;
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
