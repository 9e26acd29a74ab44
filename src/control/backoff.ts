/** How long to wait before the next try: doubling from `first` to `most`, with a quarter of jitter so that hosts spread. */
import type { Random } from "../model/clock.ts";

export class Backoff {
  #tries = 0;

  constructor(readonly firstMs: number, readonly mostMs: number, readonly random: Random) {}

  /** Milliseconds to wait now; longer with every call. */
  next(): number {
    const base = Math.min(this.mostMs, this.firstMs * 2 ** Math.min(this.#tries++, 30));
    return base + this.random.int(Math.max(1, Math.floor(base / 4)));
  }

  reset(): void {
    this.#tries = 0;
  }
}
