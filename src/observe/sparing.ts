/**
 * Messages that others can cause by the thousand: the first few of a while in full, of the rest how many there were and some
 * of their names. So it is at most so many lines and two sums in a while, whatever happens.
 */
import type { Clock, Instant } from "../model/clock.ts";
import { shorten } from "../model/shown.ts";
import type { Level, Log, LogFields } from "./log.ts";

/** Messages said in full in so many milliseconds. */
const FEW = 10;
const WHILE_MS = 10_000;
/** Names in a sum, and characters of one. */
const MOST_NAMES = 4;
const LONGEST_NAME = 40;

export class Sparing {
  #until: Instant = -Infinity;
  #said = 0;
  #left = 0;
  #names: string[] = [];
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

  /** @param name what it is about, for the sum */
  say(text: string, fields?: LogFields, name?: string): void {
    this.look();
    if (this.#said < this.few) {
      this.#said++;
      this.log[this.level](text, fields);
      return;
    }
    this.#left++;
    if (name !== undefined && this.#names.length < MOST_NAMES) this.#names.push(shorten(name, LONGEST_NAME));
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
    const [count, names] = [this.#left, this.#names];
    this.#left = 0;
    this.#names = [];
    if (count === 0) return;
    const more = count > names.length ? " …" : "";
    const named = names.length > 0 ? ` (${names.join(", ")}${more})` : "";
    this.log[this.level](`${this.rest(count)}${named}`, { count, names });
  }
}
