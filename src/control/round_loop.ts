/**
 * When one part of what stands on this host is looked at: soon after somebody asks, what belongs together at once, with a pause
 * between, and again with back-off where something failed.
 *
 * The pause is as long as the last round of its kind took, or a little longer: a storm of changes costs few rounds and never more
 * than half of the time.
 */
import { Backoff } from "../async/backoff.ts";
import { later } from "../async/later.ts";
import { Trigger } from "../async/trigger.ts";
import type { Clock, Random } from "../model/clock.ts";

/**
 * Why a part is looked at: what was told of it; everything, because that may not be all; everything, because it is time to, so that
 * whatever is found otherwise was missed.
 */
export type Reason = "changes" | "all" | "period";
const weight: Readonly<Record<Reason, number>> = { changes: 0, period: 1, all: 2 };

/** What belongs together comes together: events of one change of a device, rules of one program, peers that go at once. */
const GATHER_MS = 5;
/** The least pause after a round over changes, and after one that has read everything. */
const SHORT_PAUSE_MS = 5;
const PAUSE_MS = 50;
/** The longest pause: a machine that slept in the middle of a round must not pause for as long as it slept. */
const LONGEST_PAUSE_MS = 5_000;

export interface RoundLoopPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** One look. @returns whether all is as it should be; else it is asked for again */
  settle(why: Reason, signal: AbortSignal): Promise<boolean>;
}

export class RoundLoop {
  readonly #ports: RoundLoopPorts;
  readonly #trigger = new Trigger();
  readonly #backoff: Backoff;
  #asked: Reason | null = null;
  #gathers = false;
  #retrying = false;

  constructor(ports: RoundLoopPorts) {
    this.#ports = ports;
    this.#backoff = new Backoff(1_000, 30_000, ports.random);
  }

  /** Asks for a round, soon. @param gathers more of the same may be about to come */
  request(why: Reason, gathers = false): void {
    this.#gathers ||= gathers;
    if (this.#asked === null || weight[why] > weight[this.#asked]) this.#asked = why;
    this.#trigger.ring();
  }

  /** Runs rounds until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    let [nextChange, next] = [clock.boot(), clock.boot()];
    // What starts us is a whole snapshot: nothing that belongs to it is still to come.
    let isFirst = true;
    while (!signal.aborted) {
      await this.#trigger.wait(signal);
      const gather = isFirst || this.#asked === "changes" && !this.#gathers ? 0 : GATHER_MS;
      const wait = Math.max(gather, (this.#asked === "changes" ? nextChange : next) - clock.boot());
      if (wait > 0) await clock.sleep(wait, signal);
      this.#trigger.still();
      const [why, began] = [this.#asked, clock.boot()];
      this.#asked = null;
      this.#gathers = false;
      if (why !== null) await this.#settle(why, signal);
      const [now, took] = [clock.boot(), clock.boot() - began];
      // A change need not wait as long as a round took that was to read everything.
      nextChange = now + (why === "changes" && !isFirst ? pauseAfter(took, SHORT_PAUSE_MS) : SHORT_PAUSE_MS);
      next = now + pauseAfter(took, PAUSE_MS);
      isFirst = false;
    }
  }

  async #settle(why: Reason, signal: AbortSignal): Promise<void> {
    if (await this.#ports.settle(why, signal)) this.#backoff.reset();
    else this.#retryLater(signal);
  }

  /** One such wait at a time, and it grows. */
  #retryLater(signal: AbortSignal): void {
    if (this.#retrying) return;
    this.#retrying = true;
    later(this.#ports.clock, this.#backoff.next(), signal, () => {
      this.#retrying = false;
      this.request("all");
    });
  }
}

/** @param ms how long the round took */
function pauseAfter(ms: number, least: number): number {
  return Math.min(LONGEST_PAUSE_MS, Math.max(least, ms));
}
