/** A doorbell between tasks: rings are not counted, one ring wakes one wait, and a ring before the wait is kept. */
import type { Clock } from "../model/clock.ts";

export class Trigger {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Forgets a ring that nobody waited for yet: what it asked for is about to be seen to. */
  still(): void {
    this.#rung = false;
  }

  /**
   * Resolves at the next ring, or at once after one that nobody waited for. One wait at a time.
   *
   * @throws the signal's reason on abort
   */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#rung) await this.#sleep(signal);
    signal.throwIfAborted();
    this.#rung = false;
  }

  /** As `wait`, for `ms` milliseconds at most (Infinity: without an end). @returns true where it was rung; false also on abort */
  async waitFor(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted && ms > 0) {
      const over = new AbortController();
      const woken = this.#sleep(signal).then(() => over.abort());
      await clock.sleep(ms, over.signal).catch((error) => {
        if (!over.signal.aborted) throw error;
      });
      this.#wake?.();
      await woken;
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }

  /** Until a ring or an abort. */
  #sleep(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        this.#wake = null;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
