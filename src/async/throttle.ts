/** Passes things on at once, but not more often than every so many milliseconds; what comes in between passes as one. */
import type { Clock } from "../model/clock.ts";
import { Trigger } from "./trigger.ts";

export class Throttle {
  readonly #trigger = new Trigger();

  constructor(readonly clock: Clock, readonly pauseMs: number, readonly action: () => void) {}

  pass(): void {
    this.#trigger.ring();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#trigger.wait(signal);
      this.action();
      await this.clock.sleep(this.pauseMs, signal);
    }
  }
}
