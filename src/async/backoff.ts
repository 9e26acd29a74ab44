/**
 * How long to wait before the next try: doubling from `first` to `most`, and up to a quarter more by chance, so that hosts that
 * failed together don't come back together.
 */
import type { Random } from "../model/clock.ts";

export class Backoff {
  #tries = 0;

  /**
   * @param random null: without chance, where nobody else tries with us
   * @param spread how much may be added, as a part of the wait
   */
  constructor(
    readonly firstMs: number,
    readonly mostMs: number,
    readonly random: Random | null,
    readonly spread = 1 / 4,
  ) {}

  /** Milliseconds to wait now; longer with every call. */
  next(): number {
    const base = Math.min(this.mostMs, this.firstMs * 2 ** Math.min(this.#tries++, 30));
    return base + (this.random?.int(Math.max(1, Math.floor(base * this.spread))) ?? 0);
  }

  reset(): void {
    this.#tries = 0;
  }
}
