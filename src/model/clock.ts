/**
 * Time and chance, as contracts: everything that needs either gets it passed in, so that a simulation can own both.
 * The real ones are in `src/system/`.
 */

/** Milliseconds on a `Clock`'s boot scale: monotonic, and it goes on through suspend (CLOCK_BOOTTIME). */
export type Instant = number;

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC; may jump. Only for what people read. */
  wall(): number;
  /** Milliseconds since boot, suspend included; never goes back. For every deadline. */
  boot(): Instant;
  /**
   * Resolves after `ms` milliseconds.
   *
   * @throws the signal's reason as soon as `signal` is aborted
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Random {
  /** A uniformly distributed whole number, 0 ≤ n < `below`. */
  int(below: number): number;
}
