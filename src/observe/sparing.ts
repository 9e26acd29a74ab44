/**
 * Messages that others can cause by the thousand: the first few of a while in full, of the rest how many there were. So it is
 * at most so many lines and two sums in a while, whatever happens.
 */
import type { Clock, Instant } from "../model/clock.ts";
import type { Level, Log, LogFields } from "./log.ts";

/** Messages said in full in so many milliseconds. */
const FEW = 10;
const WHILE_MS = 10_000;

export class Sparing {
  #until: Instant = -Infinity;
  #said = 0;
  #left = 0;
  #settled = false;

  /**
   * @param rest what is said of those left out
   * @param level of both
   * @param few how many are said in full
   */
  constructor(
    readonly log: Log,
    readonly clock: Clock,
    readonly rest: (count: number) => string,
    readonly level: Level = "warn",
    readonly few: number = FEW,
  ) {}

  say(text: string, fields?: LogFields): void {
    this.look();
    if (this.#said < this.few) {
      this.#said++;
      this.log[this.level](text, fields);
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
    if (this.#left > 0) this.log[this.level](this.rest(this.#left));
    this.#left = 0;
  }
}
