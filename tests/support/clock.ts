/**
 * Time and chance for tests: a clock that stands still until it is told to go on, and random numbers from a seed.
 *
 * Sleepers wake in the order of their deadlines (equal ones in the order in which they lay down), and after each one everything
 * that can run does, before time goes on. `boot` and `wall` move together; `jumpWall` moves the wall clock alone, as an
 * administrator or NTP would.
 */
import { setImmediate } from "node:timers";
import type { Clock, Instant, Random } from "../../src/model/clock.ts";

interface Sleeper {
  readonly due: Instant;
  wake(): void;
}

export class FakeClock implements Clock {
  #boot: Instant;
  #wallOffset: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start: { boot?: Instant; wall?: number } = {}) {
    this.#boot = start.boot ?? 1_000_000;
    this.#wallOffset = (start.wall ?? Date.UTC(2026, 0, 1)) - this.#boot;
  }

  wall(): number {
    return this.#boot + this.#wallOffset;
  }

  boot(): Instant {
    return this.#boot;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const finish = (then: () => void) => () => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener("abort", onAbort);
        then();
      };
      const sleeper = { due: this.#boot + Math.max(0, ms), wake: finish(resolve) };
      const onAbort = finish(() => reject(signal?.reason));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Moves the wall clock alone, forward or (negative) back. */
  jumpWall(ms: number): void {
    this.#wallOffset += ms;
  }

  /** Lets `ms` pass in one leap, as in suspend: whoever should have woken meanwhile wakes late, when time goes on. */
  skip(ms: number): void {
    this.#boot += ms;
  }

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Lets `ms` pass. */
  async advance(ms: number): Promise<void> {
    const end = this.#boot + ms;
    await settle();
    for (let next = this.#next(); next !== null && next.due <= end; next = this.#next()) {
      await this.#wake(next);
    }
    this.#boot = end;
  }

  /**
   * Lets time pass until `work` is done, from one deadline to the next.
   *
   * @param limit milliseconds of this clock after which the work counts as stuck
   * @throws what `work` throws; Error where nobody sleeps any more, or the limit is over
   */
  async drive<T>(work: Promise<T>, limit = 3_600_000): Promise<T> {
    let done = false;
    work.then(() => done = true, () => done = true);
    const end = this.#boot + limit;
    for (await settle(); !done; await settle()) {
      const next = this.#next();
      if (next === null || next.due > end) {
        throw new Error(`stuck at ${this.#boot}: ${this.sleeping} sleeping`);
      }
      await this.#wake(next);
    }
    return await work;
  }

  #next(): Sleeper | null {
    let first: Sleeper | null = null;
    for (const sleeper of this.#sleepers) if (first === null || sleeper.due < first.due) first = sleeper;
    return first;
  }

  async #wake(sleeper: Sleeper): Promise<void> {
    this.#boot = Math.max(this.#boot, sleeper.due);
    sleeper.wake();
    await settle();
  }
}

/** Lets everything run that waits for no clock and no I/O. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Reproducible random numbers (mulberry32). Print the seed where a test fails. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    int(below: number): number {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
    },
  };
}
