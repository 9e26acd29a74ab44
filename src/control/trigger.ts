/** A doorbell between tasks: rings are not counted, one ring wakes one wait, and a ring before the wait is kept. */
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
   * Resolves at the next ring, or at once after one that nobody waited for.
   *
   * @throws the signal's reason on abort
   */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#rung) await this.#sleep(signal);
    signal.throwIfAborted();
    this.#rung = false;
  }

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
