/**
 * Warnings that others can cause by the thousand: the first few of a while in full, of the rest how many there were.
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
    this.settle();
    this.#until = now + WHILE_MS;
    this.#said = 0;
  }

  /** Says it now: nothing more comes of what these were about. */
  settle(): void {
    if (this.#left > 0) this.log.warn(this.rest(this.#left));
    this.#left = 0;
  }
}
