/** A limit on the time that something may take, on the clock that was passed in. */
import type { Clock } from "../model/clock.ts";
import { race } from "./race.ts";

/** The time was over. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
}

/**
 * Runs `work` for `ms` milliseconds at most. `over`, which `work` gets, is aborted when it is time to stop, for whatever
 * reason; work that does not listen runs on unheard, and may be waited for again any number of times.
 *
 * @throws what `work` throws; DeadlineExceeded; the reason of `signal`
 */
export async function deadline<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
  work: (over: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const limit = clock.sleep(ms, stop.signal).then(() => {
    throw new DeadlineExceeded(`no answer within ${ms / 1000} s`);
  });
  try {
    return await race([work(stop.signal), limit]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    stop.abort();
  }
}
