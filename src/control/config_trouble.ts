/**
 * A network configuration that can't be used any more, while the one that we have goes on. One that is wrong is a reason not to
 * be ready: whatever was meant is not done. One that is absent, or a store that does not answer, is only told.
 */
import type { Clock, Instant } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import type { Log } from "../observe/log.ts";
import type { ConfigReading } from "../store/store.ts";

type Problem = ConfigReading & { readonly type: "problem" };

export class ConfigTrouble {
  #problem: Problem | null = null;
  #since: Instant = 0;

  constructor(readonly log: Log, readonly clock: Clock) {}

  /** Why this host is not ready, or null. */
  get reason(): string | null {
    return this.#problem?.state === "wrong" ? sentence(this.#problem) : null;
  }

  /** What is worth knowing beside. */
  get notes(): string[] {
    return this.#problem === null || this.#problem.state === "wrong" ? [] : [sentence(this.#problem)];
  }

  /** Each reading in its turn; says what it means. */
  take(reading: ConfigReading): void {
    if (reading.type === "problem") {
      if (this.#problem === null) this.#since = this.clock.boot();
      this.log[reading.state === "wrong" ? "error" : "warn"](sentence(reading), { error: reading.error });
      // What is wrong stays so while nobody can look.
      if (reading.state !== undefined || this.#problem?.state !== "wrong") this.#problem = reading;
    } else if (this.#problem !== null) {
      const durationMs = Math.round(this.clock.boot() - this.#since);
      this.#problem = null;
      const after = describeDuration(durationMs);
      this.log.info(`network configuration: there is a good one again, after ${after}`, { durationMs });
    }
  }
}

function sentence({ error }: Problem): string {
  return `network configuration: ${error}; keeping the one we have`;
}
