/** Waiting for a store that does not answer: back-off from 0.1 to 5 seconds, and one line in the log for each outage. */
import { Backoff } from "../async/backoff.ts";
import type { Clock, Random } from "../model/clock.ts";
import { Lasting } from "../observe/lasting.ts";
import type { Log } from "../observe/log.ts";
import { StoreUnavailable } from "./store.ts";

export interface OutageDeps {
  readonly clock: Clock;
  readonly log?: Log;
}

const FIRST_MS = 100;
const LAST_MS = 5_000;

/** Between tries: from a tenth of a second to five. @param random where many hosts try again at once */
export function outageBackoff(random: Random | null = null): Backoff {
  // By chance up to twice as long: nobody waits longer than without.
  return random === null
    ? new Backoff(FIRST_MS, LAST_MS, null)
    : new Backoff(FIRST_MS / 2, LAST_MS / 2, random, 1);
}

/**
 * Does `work`, again and again while it rejects with StoreUnavailable.
 *
 * @throws whatever else `work` throws; the signal's reason on abort
 */
export async function untilAvailable<T>(
  work: () => Promise<T>,
  { clock, log }: OutageDeps,
  signal: AbortSignal,
): Promise<T> {
  const outage = new Lasting(log, clock);
  const backoff = outageBackoff();
  while (true) {
    signal.throwIfAborted();
    try {
      const result = await work();
      outage.over("The store answers again");
      return result;
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      const text = `The store does not answer: ${error.message}; trying again until it does`;
      outage.is("outage", text, { error: error.message });
      await clock.sleep(backoff.next(), signal);
    }
  }
}
