/**
 * The real clock.
 *
 * - `boot()` is whatever the caller hands in; the daemon hands in CLOCK_BOOTTIME, which runs on through suspend. Without it
 *   (unit tests) the time since the process started serves: monotonic, but it stands still while the machine sleeps.
 * - A timer of the runtime stands still in suspend as well, so a long sleep is taken in slices and its deadline checked on
 *   `boot()`: after a wake-up it ends within one slice. The slices also lift the limit of 2^31 ms on one timer.
 * - A sleep that ends, either way, leaves neither a timer nor a listener behind.
 */
import type { Clock, Instant } from "../model/clock.ts";

/** Milliseconds; the longest that a due sleep oversleeps after the machine was suspended. */
const slice = 15_000;

/** A clock whose boot scale is `bootTime` (milliseconds, monotonic). */
export function systemClock(bootTime: () => Instant = () => performance.now()): Clock {
  return {
    wall: () => Date.now(),
    boot: bootTime,
    async sleep(ms: number, signal?: AbortSignal): Promise<void> {
      const deadline = bootTime() + ms;
      signal?.throwIfAborted();
      // A sleep of 0 still lets others run.
      do await pause(Math.min(deadline - bootTime(), slice), signal); while (bootTime() < deadline);
    },
  };
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, Math.max(0, Math.ceil(ms)));
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
