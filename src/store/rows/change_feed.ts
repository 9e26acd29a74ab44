/**
 * Turning a store that can be asked "what changed since?" into an endless iterable of events.
 *
 * Nothing is buffered: the next question is asked when the reader wants more, and the store's own log is the queue. A reader
 * that falls behind the log gets a snapshot. Aborting ends the iterable at the next turn, whether anybody reads or not.
 */
import { messageOf } from "../../model/errors.ts";
import { abortable } from "../../async/abortable.ts";
import { outageBackoff, type OutageDeps } from "../outage.ts";
import type { StoreEvent } from "../store.ts";

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
  const backoff = outageBackoff();
  let out = false;
  while (!signal.aborted) {
    try {
      const read: Awaited<ReturnType<ChangeFeed["read"]>> = await abortable(feed.read(cursor), signal);
      if (signal.aborted) return;
      if (out) yield { type: "recovered" };
      out = false;
      backoff.reset();
      cursor = read.cursor;
      yield* read.events;
      if (!signal.aborted) await feed.wait(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!out) yield { type: "outage", error: messageOf(error) };
      out = true;
      await clock.sleep(backoff.next(), signal).catch(() => {});
    }
  }
}
