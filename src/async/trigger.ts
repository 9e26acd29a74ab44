/** A doorbell between tasks: rings are not counted, one ring wakes one wait, and a ring before the wait is kept. */
import type { Clock } from "../model/clock.ts";
import { untilAborted } from "./abortable.ts";

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
    if (!this.#rung) await this.#pause(untilAborted, signal);
    signal.throwIfAborted();
    this.#rung = false;
  }

  /** As `wait`, for `ms` milliseconds at most (Infinity: without an end). @returns true where it was rung; false also on abort */
  async waitFor(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung && !signal.aborted && ms > 0) {
      await this.#pause((over) => clock.sleep(ms, over), signal);
    }
    const rung = this.#rung;
    this.#rung = false;
    return rung;
  }

  /** @param pause what ends by itself, or is told to end by a ring or an abort */
  async #pause(pause: (over: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const wake = this.#wake = () => over.abort();
    signal.addEventListener("abort", wake, { once: true });
    try {
      await pause(over.signal);
    } catch (error) {
      if (!over.signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", wake);
      this.#wake = null;
    }
  }
}
