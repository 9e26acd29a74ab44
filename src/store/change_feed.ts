/**
 * Turning a store that can be asked "what changed since?" into an endless iterable of events.
 *
 * Nothing is buffered: the next question is asked when the reader wants more, and the store's own log is the queue. A reader
 * that falls behind the log gets a snapshot. Aborting ends the iterable at the next turn, whether anybody reads or not.
 */
import { messageOf } from "../model/errors.ts";
import { orAborted } from "../model/race.ts";
import { backoff, type OutageDeps } from "./outage.ts";
import type { StoreEvent } from "./store.ts";

/** Where a reader stands; opaque, made by the feed. */
export type Cursor = string;

export interface ChangeFeed {
  /** What changed after `cursor`, in order; a snapshot where `cursor` is null or too old. Rejects during an outage. */
  read(cursor: Cursor | null): Promise<{ readonly events: readonly StoreEvent[]; readonly cursor: Cursor }>;
  /** Returns when something may have changed, after `atMost` milliseconds, or when `signal` is aborted. */
  wait(signal: AbortSignal, atMost?: number): Promise<void>;
}

export async function* follow(
  feed: ChangeFeed,
  { clock }: OutageDeps,
  signal: AbortSignal,
): AsyncGenerator<StoreEvent> {
  let cursor: Cursor | null = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const read: Awaited<ReturnType<ChangeFeed["read"]>> = await orAborted(feed.read(cursor), signal);
      if (signal.aborted) return;
      if (failures > 0) yield { type: "recovered" };
      failures = 0;
      cursor = read.cursor;
      yield* read.events;
      if (!signal.aborted) await feed.wait(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) yield { type: "outage", error: messageOf(error) };
      await clock.sleep(backoff(failures++), signal).catch(() => {});
    }
  }
}
