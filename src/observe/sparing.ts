/**
 * Warnings that others can cause by the thousand: the first few of a while in full, of the rest how many there were. So it is
 * at most `FEW` lines and two sums in a while, whatever happens.
 */
import type { Clock, Instant } from "../model/clock.ts";
import type { Log } from "./log.ts";

/** Warnings said in full in so many milliseconds. */
const FEW = 10;
const WHILE_MS = 10_000;

export class Sparing {
  #until: Instant = -Infinity;
  #said = 0;
  #left = 0;
  #settled = false;

  /** @param rest what is said of those left out */
  constructor(readonly log: Log, readonly clock: Clock, readonly rest: (count: number) => string) {}

  warn(text: string): void {
    this.look();
    if (this.#said < FEW) {
      this.#said++;
      this.log.warn(text);
    } else this.#left++;
  }

  /** Says how many were left out, once the while is over. */
  look(): void {
    const now = this.clock.boot();
    if (now < this.#until) return;
    this.#sum();
    this.#until = now + WHILE_MS;
    this.#said = 0;
    this.#settled = false;
  }

  /** Says it now, once in a while: nothing more comes of what these were about. */
  settle(): void {
    if (this.#settled || this.#left === 0) return;
    this.#sum();
    this.#settled = true;
  }

  #sum(): void {
    if (this.#left > 0) this.log.warn(this.rest(this.#left));
    this.#left = 0;
  }
}
