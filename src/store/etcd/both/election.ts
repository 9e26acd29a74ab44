/**
 * One of many, chosen by a key in etcd's v3 API: who creates it serves for as long as it keeps the key's lease alive. When it
 * ends, or is not heard of for `TTL_S`, another takes its place.
 *
 * A clock that stands still (a suspended host) can make two serve for a moment; whatever they do must be harmless then.
 */
import type { Clock, Instant, Random } from "../../../model/clock.ts";
import { messageOf } from "../../../model/errors.ts";
import type { Log } from "../../../observe/log.ts";
import { deadline } from "../../../async/deadline.ts";
import type { LeaseId, V3Remote } from "../v3/remote.ts";

export interface ElectionOptions {
  readonly remote: V3Remote;
  readonly key: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log | undefined;
}

/** Seconds after which a silent one is replaced. */
const TTL_S = 12;
/** Milliseconds between two signs of life, and between two looks at whether the place is free. */
const BEAT_MS = 3_000;
/** Milliseconds before the end of our lease at which we stop. */
const MARGIN_MS = 2_000;
/** Milliseconds to spend on giving the place back. */
const GIVE_BACK_MS = 400;

export class Election {
  readonly #options: ElectionOptions;
  readonly #name: string;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#name = Array.from({ length: 4 }, () => options.random.int(65_536).toString(16).padStart(4, "0"))
      .join("");
  }

  /** Stands until aborted, and does `serve` whenever and as long as we are the one. */
  async run(signal: AbortSignal, serve: (elected: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, random, log } = this.#options;
    let trouble = "";
    while (!signal.aborted) {
      try {
        const lease = await this.#stand(signal);
        trouble = "";
        if (lease !== null) await this.#serve(lease, signal, serve);
      } catch (thrown) {
        if (signal.aborted) return;
        if (messageOf(thrown) !== trouble) log?.debug(`stand for mirroring: ${messageOf(thrown)}`);
        trouble = messageOf(thrown);
      }
      await clock.sleep(BEAT_MS + random.int(BEAT_MS / 2), signal).catch(() => {});
    }
  }

  /** The lease of our key; null where another has the place. */
  async #stand(signal: AbortSignal): Promise<LeaseId | null> {
    const { remote, key } = this.#options;
    const { count } = await remote.range({ key, end: null }, signal);
    if (count > 0) return null;
    const { id } = await remote.grantLease(TTL_S, signal);
    const { succeeded, current } = await remote.write({
      key,
      expect: 0,
      put: { value: this.#name, lease: id },
    }, signal);
    if (succeeded || current?.lease === id) return id;
    await this.#giveBack(id);
    return null;
  }

  async #serve(
    lease: LeaseId,
    signal: AbortSignal,
    serve: (elected: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const over = new AbortController();
    const elected = AbortSignal.any([signal, over.signal]);
    const serving = serve(elected).finally(() => over.abort());
    serving.catch(() => {});
    try {
      await this.#beat(lease, elected);
    } finally {
      over.abort();
      await this.#giveBack(lease);
      await serving;
    }
  }

  /** Keeps the lease alive until it can't, or `elected` is aborted. */
  async #beat(lease: LeaseId, elected: AbortSignal): Promise<void> {
    const { remote, clock } = this.#options;
    let ends: Instant = clock.boot() + TTL_S * 1000;
    while (!elected.aborted) {
      // Not past the time at which we stop, however fast etcd has refused the last one.
      const rest = Math.max(0, ends - MARGIN_MS - clock.boot());
      await clock.sleep(Math.min(BEAT_MS, rest), elected).catch(() => {});
      if (elected.aborted) return;
      const now = clock.boot();
      const left = ends - MARGIN_MS - now;
      if (left <= 0) return;
      try {
        const ttl = await deadline(clock, left, elected, (stop) => remote.keepLeaseAlive(lease, stop));
        if (ttl === 0) return;
        ends = now + ttl * 1000;
      } catch {
        // Tried again until the time is over.
      }
    }
  }

  /** Best effort: it ends by itself. */
  async #giveBack(lease: LeaseId): Promise<void> {
    const { remote, clock } = this.#options;
    await deadline(clock, GIVE_BACK_MS, undefined, (over) => remote.revokeLease(lease, over)).catch(() => {});
  }
}
