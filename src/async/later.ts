/** Doing something after a while, unless everything ends before. */
import type { Clock } from "../model/clock.ts";

export function later(clock: Clock, ms: number, signal: AbortSignal, action: () => unknown): void {
  // Sleeping rejects on abort alone, and then there is nothing left to do.
  clock.sleep(ms, signal).then(action, () => {});
}
