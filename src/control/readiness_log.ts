/**
 * Readiness in the log: when this host is ready for the first time, how long it took; when it no longer is, why; and when it
 * is again, how long it was not. Each once.
 */
import type { Clock, Instant } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import type { Log } from "../observe/log.ts";
import type { Readiness } from "./readiness.ts";

/** A start that takes longer says what it waits for; milliseconds. */
const PATIENCE_MS = 15_000;

export class ReadinessLog {
  #everReady = false;
  /** Since when it is not, and the first reason as it was told; null while it is ready, or has not been told of. */
  #unready: { readonly since: Instant; readonly reason: string } | null = null;

  /** @param started when the process was */
  constructor(readonly log: Log, readonly clock: Pick<Clock, "boot">, readonly started: Instant) {}

  /** To be called whenever it may have changed, and every second or so. */
  look({ ready, reasons }: Readiness, peers: number): void {
    if (ready) this.#ready(peers);
    else if (this.#unready === null) this.#notReady(reasons);
  }

  #ready(peers: number): void {
    const now = this.clock.boot();
    if (!this.#everReady) {
      const durationMs = Math.round(now - this.started);
      this.log.info(`ready: ${peers} peers in ${durationMs} ms`, { peers, durationMs });
    } else if (this.#unready !== null) {
      const { since, reason } = this.#unready;
      const durationMs = Math.round(now - since);
      const after = describeDuration(durationMs);
      this.log.info(`ready again after ${after}: ${peers} peers; it was: ${reason}`, {
        peers,
        durationMs,
        reason,
      });
    }
    this.#everReady = true;
    this.#unready = null;
  }

  #notReady(reasons: readonly string[]): void {
    const now = this.clock.boot();
    const waited = now - this.started;
    if (!this.#everReady && waited < PATIENCE_MS) return;
    const text = `${reasons[0] ?? ""}${
      reasons.length > 1 ? ` (and ${reasons.length - 1} more, see /readyz)` : ""
    }`;
    this.#unready = { since: now, reason: text };
    const what = this.#everReady ? "not ready" : `not ready after ${describeDuration(waited)}`;
    this.log.warn(`${what}: ${text}`, { reasons });
  }
}
