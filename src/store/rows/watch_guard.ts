/**
 * Distrust of a change feed: the change log can miss something (a row edited by hand, a lost event), and nobody would notice.
 *
 * Every 5 to 10 minutes the feed's whole content is compared with what was delivered. Where they differ the reader gets a
 * snapshot, which is right whatever was missed before; a change that comes in between costs one snapshot too many.
 */
import type { Instant } from "../../model/clock.ts";
import { formatLeaseKey } from "../../model/lease_codec.ts";
import type { AcquireDeps } from "../acquire.ts";
import type { ChangeFeed, Cursor } from "./change_feed.ts";
import type { StoreEvent } from "../store.ts";

/** Milliseconds between two comparisons: this, and up to as much again. */
export const CHECK_MS = 300_000;

/** The same feed, compared with the truth now and then. */
export function guarded(feed: ChangeFeed, { clock, random, log }: AcquireDeps): ChangeFeed {
  const known = new Map<string, string>();
  let due: Instant = Infinity;
  const later = () => due = clock.boot() + CHECK_MS + random.int(CHECK_MS);
  later();
  return {
    async read(cursor: Cursor | null) {
      const read = await feed.read(cursor);
      for (const event of read.events) apply(known, event);
      if (clock.boot() < due) return read;
      const truth = await feed.read(null);
      later();
      const actual = new Map<string, string>();
      for (const event of truth.events) apply(actual, event);
      if (same(known, actual)) return read;
      log?.warn("The store's watch missed changes; all leases are read again");
      known.clear();
      for (const [key, version] of actual) known.set(key, version);
      return truth;
    },
    wait: (signal) => feed.wait(signal, Math.max(0, due - clock.boot())),
  };
}

/** Follows which keys there are, in which version. */
function apply(known: Map<string, string>, event: StoreEvent): void {
  switch (event.type) {
    case "snapshot":
      known.clear();
      for (const lease of event.leases) known.set(formatLeaseKey(lease.subnets), lease.version);
      for (const { key, reason } of event.unreadable) known.set(key, reason);
      break;
    case "put":
      known.set(formatLeaseKey(event.lease.subnets), event.lease.version);
      break;
    case "unreadable":
      known.set(event.unreadable.key, event.unreadable.reason);
      break;
    case "gone":
      known.delete(event.key);
      break;
    case "delete":
      known.delete(formatLeaseKey(event.subnets));
      break;
  }
}

function same(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, version]) => b.get(key) === version);
}
