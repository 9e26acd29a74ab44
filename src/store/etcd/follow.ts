/**
 * Following a range of keys in etcd for as long as we live, whatever happens to etcd meanwhile.
 *
 *     list at revision R ──► snapshot ──► watch from R+1 ──► changes
 *       ▲                                   │
 *       │  history lost, another cluster,   │ connection lost: watch again from the last
 *       └─ revision gone back, wrong count ─┘ revision seen, after 0.1 to 5 s
 *
 * - What was delivered is never delivered again; what happened is never left out.
 * - A loss that the first reconnect repairs is told by `resumed` alone; else each failed attempt is, and one `recovered` when
 *   etcd answers.
 * - A watch can fall silent without an error: after etcd was restored from a backup it waits for a revision that comes back
 *   in days. So 2 s after every reconnect and then every 5 to 10 minutes, a query without values compares cluster, revision,
 *   number of keys and newest change with what was delivered. A watch may only be late, and so may we: a mismatch counts once
 *   the watch has gone past the revision of the answer, or has told nothing for 10 s in which we could have heard it; then
 *   everything is read again.
 */
import type { Clock, Instant, Random } from "../../model/clock.ts";
import { Failure, messageOf } from "../../model/errors.ts";
import type { Log } from "../../observe/log.ts";
import { deadline, DeadlineExceeded } from "../../async/deadline.ts";
import {
  type EtcdReader,
  HistoryLost,
  type KeyRange,
  type StoredKey,
  type WatchBatch,
  type WatchEvent,
} from "./reader.ts";
import { outageBackoff } from "../outage.ts";

export interface FollowDeps<K extends StoredKey> {
  readonly remote: EtcdReader<K>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
}

export type Followed<K> =
  /** `restored`: etcd is not what it was when it told what came before, so that what is missing may only not be back yet. */
  | { readonly type: "snapshot"; readonly kvs: readonly K[]; readonly restored: boolean }
  | { readonly type: "changes"; readonly events: readonly WatchEvent<K>[] }
  | FollowState;

export type FollowState =
  /** An attempt to reach etcd has failed: comes with every one. `refused`: etcd refuses us, waiting will not help. */
  | { readonly type: "failed"; readonly error: string; readonly refused: boolean }
  /** The first answer after failed attempts. */
  | { readonly type: "recovered" }
  /** The watch was lost, and stands again where it was: etcd may have been another one in between. */
  | { readonly type: "resumed" };

/** What etcd had at `revision`, as far as a query without values tells. */
interface Look {
  readonly revision: number;
  readonly count: number;
  readonly last: StoredKey | undefined;
}

/** Milliseconds between two looks at whether the watch still tells everything: this and up to as much again. */
const CHECK_MS = 300_000;
/** Milliseconds that a change may be on its way. */
const SETTLE_MS = 2_000;
/** Milliseconds without a word after which a watch that ought to tell something counts as silent: etcd may be slow. */
const SILENT_MS = 10_000;
/** Milliseconds after which a watch counts as good, and the back-off starts from its beginning. */
const GOOD_MS = 2_000;

/** Ends when `signal` is aborted, without throwing. */
export async function* follow<K extends StoredKey>(
  deps: FollowDeps<K>,
  range: KeyRange,
  signal: AbortSignal,
): AsyncGenerator<Followed<K>> {
  const follower = new Follower(deps, range, signal);
  let out = false;
  let lost = false;
  const backoff = outageBackoff(deps.random);
  while (!signal.aborted) {
    try {
      for await (const followed of follower.session()) {
        if (out) yield { type: "recovered" };
        else if (lost) yield { type: "resumed" };
        out = lost = false;
        if (followed !== null) yield followed;
      }
    } catch (thrown) {
      if (signal.aborted) return;
      lost = true;
      const stood = follower.stood();
      if (stood === null) {
        yield { type: "failed", error: messageOf(thrown), refused: thrown instanceof Failure };
      }
      out ||= stood === null;
      if (stood !== null && stood > GOOD_MS) backoff.reset();
      await deps.clock.sleep(backoff.next(), signal).catch(() => {});
    }
  }
}

const LEFT_OUT = "etcd's watch has left something out";

/** What was delivered, and one session after the other that goes on from there. */
class Follower<K extends StoredKey> {
  readonly #deps: FollowDeps<K>;
  readonly #range: KeyRange;
  readonly #signal: AbortSignal;
  /** Null: everything must be read (again). */
  #at: { cluster: string; revision: number } | null = null;
  /** Every key delivered and not deleted, with its revision. */
  readonly #known = new Map<string, number>();
  /** When etcd first answered in this session. */
  #standsSince: Instant | null = null;
  #nextCheck: Instant = 0;
  /** The last look, while what was delivered differs from it. */
  #open: Look | null = null;
  /** Since when the watch could have told something, and has not. */
  #silentSince: Instant = 0;
  /** Something else than forgotten history makes us read again: most likely a restore from backup. */
  #restored = false;

  constructor(deps: FollowDeps<K>, range: KeyRange, signal: AbortSignal) {
    this.#deps = deps;
    this.#range = range;
    this.#signal = signal;
  }

  /** How long the last session stood; null where etcd never answered in it. */
  stood(): number | null {
    return this.#standsSince === null ? null : this.#deps.clock.boot() - this.#standsSince;
  }

  /**
   * Reads everything where that is needed (a single key costs nothing: always), then watches. Null is a sign of life without
   * news. Ends where everything must be read again.
   *
   * @throws what the remote throws when it is out of reach
   */
  async *session(): AsyncGenerator<Followed<K> | null> {
    this.#standsSince = null;
    if (this.#range.end === null) this.#at = null;
    const fresh = this.#at === null;
    if (this.#at === null) yield await this.#list();
    const stop = new AbortController();
    try {
      yield* this.#watch(fresh, AbortSignal.any([this.#signal, stop.signal]));
    } catch (thrown) {
      if (!(thrown instanceof HistoryLost)) throw thrown;
      this.#readAgain(thrown.message, this.#restored);
    } finally {
      stop.abort();
    }
  }

  async #list(): Promise<Followed<K>> {
    const { header, kvs } = await this.#deps.remote.range(this.#range, this.#signal);
    this.#standsSince = this.#deps.clock.boot();
    this.#at = { cluster: header.cluster, revision: header.revision };
    this.#known.clear();
    for (const kv of kvs) this.#known.set(kv.key, kv.modRevision);
    const restored = this.#restored;
    this.#restored = false;
    return { type: "snapshot", kvs, restored };
  }

  async *#watch(fresh: boolean, signal: AbortSignal): AsyncGenerator<Followed<K> | null> {
    const { remote, clock } = this.#deps;
    const batches = remote.watch(this.#range, this.#at!.revision + 1, signal)[Symbol.asyncIterator]();
    this.#open = null;
    this.#scheduleCheck(fresh ? this.#checkInterval() : SETTLE_MS);
    let watching = false;
    let pending: Promise<IteratorResult<WatchBatch<K>>> | null = null;
    while (this.#at !== null) {
      if (pending === null) {
        pending = batches.next();
        // An abort at the wrong moment leaves nobody who waits for it.
        pending.catch(() => {});
      }
      // A watch that does not stand yet is the remote's to give up; it can't be checked.
      const result: IteratorResult<WatchBatch<K>> | null = watching
        ? await this.#before(this.#nextCheck, pending)
        : await pending;
      if (result === null) {
        await this.#check();
        continue;
      }
      if (result.done) return;
      pending = null;
      watching = true;
      this.#standsSince ??= clock.boot();
      yield this.#absorb(result.value);
    }
  }

  /** Null where nothing comes until `due`. */
  async #before<T>(due: Instant, pending: Promise<T>): Promise<T | null> {
    const { clock } = this.#deps;
    try {
      return await deadline(clock, Math.max(0, due - clock.boot()), this.#signal, () => pending);
    } catch (thrown) {
      if (thrown instanceof DeadlineExceeded) return null;
      throw thrown;
    }
  }

  /** Takes note of a batch; null where there is no news in it. */
  #absorb({ header, events }: WatchBatch<K>): Followed<K> | null {
    if (this.#at === null) return null;
    if (header.cluster !== this.#at.cluster) {
      this.#readAgain(`etcd is another cluster now`);
      return null;
    }
    // A member that lags behind says so as well: only a linearizable read tells the two apart.
    if (header.revision < this.#at.revision) {
      this.#open = null;
      this.#scheduleCheck(0);
    }
    const news = events.filter(({ kv }) => kv.modRevision > this.#at!.revision);
    for (const { type, kv } of news) {
      if (this.#open !== null && !this.#goesOn(this.#open, kv.modRevision)) return null;
      if (type === "put") this.#known.set(kv.key, kv.modRevision);
      else this.#known.delete(kv.key);
      this.#at.revision = kv.modRevision;
    }
    return news.length === 0 ? null : { type: "changes", events: news };
  }

  /** Whether etcd has what we have delivered. */
  async #check(): Promise<void> {
    if (this.#open !== null) return this.#lookAgain(this.#open);
    const now = await this.#deps.remote.range({ ...this.#range, newestOnly: true }, this.#signal);
    const at = this.#at!;
    if (now.header.cluster !== at.cluster) return this.#readAgain("etcd is another cluster now");
    if (now.header.revision < at.revision) {
      return this.#readAgain(`etcd went back from revision ${at.revision} to ${now.header.revision}`);
    }
    const look = { revision: now.header.revision, count: now.count, last: now.kvs[0] };
    if (this.#agrees(look)) this.#close();
    else this.#wait(look);
  }

  #close(): void {
    this.#open = null;
    this.#scheduleCheck(this.#checkInterval());
  }

  #wait(look: Look): void {
    this.#open = look;
    this.#silentSince = this.#deps.clock.boot();
    this.#scheduleCheck(SETTLE_MS);
  }

  /** Whether what was delivered is what the look found. */
  #agrees({ count, last }: Look): boolean {
    const newest = this.#known.values().reduce((a, b) => Math.max(a, b), 0);
    // By name: etcd restored from a backup gives out the same revisions again, to others.
    return count === this.#known.size && (last?.modRevision ?? 0) === newest &&
      (last === undefined || this.#known.get(last.key) === newest);
  }

  /** After a while: a watch that goes on telling may only be late. */
  #lookAgain(look: Look): void {
    const now = this.#deps.clock.boot();
    // A process that comes late to its own look has heard nothing meanwhile.
    if (now - this.#nextCheck > SETTLE_MS / 2) this.#silentSince = now;
    if (this.#agrees(look)) this.#close();
    else if (now - this.#silentSince >= SILENT_MS) this.#readAgain(LEFT_OUT);
    else this.#scheduleCheck(SETTLE_MS);
  }

  /**
   * The watch comes to a change at `revision`: all up to the look was told once it is past that. False where something was
   * left out.
   */
  #goesOn(look: Look, revision: number): boolean {
    this.#silentSince = this.#deps.clock.boot();
    if (revision <= look.revision) return true;
    const whole = this.#agrees(look);
    if (whole) this.#close();
    else this.#readAgain(LEFT_OUT);
    return whole;
  }

  #readAgain(why: string, restored = true): void {
    this.#restored = restored;
    this.#deps.log?.info(`${why}: reading "${this.#range.key}" from its beginning`);
    this.#at = null;
    this.#open = null;
  }

  #scheduleCheck(ms: number): void {
    this.#nextCheck = this.#deps.clock.boot() + ms;
  }

  #checkInterval(): number {
    return CHECK_MS + this.#deps.random.int(CHECK_MS);
  }
}
