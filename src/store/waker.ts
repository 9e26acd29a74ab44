/**
 * Waiting for either a wake-up or a deadline. A wake-up between two waits is not lost: the next wait returns at once. Several
 * count as one.
 */
import type { Clock } from "../model/clock.ts";

export class Waker {
  #woken = false;
  #cut: AbortController | null = null;

  wake(): void {
    this.#woken = true;
    this.#cut?.abort();
  }

  /**
   * Returns when woken, after `ms` milliseconds, or when `signal` is aborted: true where it was woken. One wait at a
   * time.
   */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    if (!this.#woken && !signal.aborted && ms > 0) {
      const cut = this.#cut = new AbortController();
      const onAbort = () => cut.abort();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        await clock.sleep(ms, cut.signal);
      } catch (error) {
        if (!cut.signal.aborted) throw error;
      } finally {
        signal.removeEventListener("abort", onAbort);
        this.#cut = null;
      }
    }
    const woken = this.#woken;
    this.#woken = false;
    return woken;
  }
}
