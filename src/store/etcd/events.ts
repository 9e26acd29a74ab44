/** What a watch of the records tells, as events of a store. */
import type { Lease } from "../../model/lease.ts";
import type { Listing, StoreEvent, Unreadable } from "../store.ts";
import { follow, type FollowDeps, type Followed } from "./follow.ts";
import { type EtcdKeys, readKey } from "./keys.ts";
import type { StoredKey, WatchEvent } from "./reader.ts";

export interface RecordReading<K extends StoredKey> {
  readonly keys: EtcdKeys;
  /** Null for what is no record. */
  read(kv: K): Lease | Unreadable | null;
}

/** Ends when the signal is aborted. */
export async function* recordEvents<K extends StoredKey>(
  deps: FollowDeps<K>,
  reading: RecordReading<K>,
  signal: AbortSignal,
): AsyncGenerator<StoreEvent> {
  let out: "unreachable" | "refused" | null = null;
  for await (const followed of follow(deps, reading.keys.records, signal)) {
    if (followed.type === "failed") {
      const { error, refused } = followed;
      const state = refused ? "refused" : "unreachable";
      if (state !== out) yield { type: "outage", error, ...(refused && { refused }) };
      out = state;
    } else {
      out = null;
      yield* eventsOf(followed, reading);
    }
  }
}

function eventsOf<K extends StoredKey>(
  followed: Exclude<Followed<K>, { type: "failed" }>,
  reading: RecordReading<K>,
): readonly StoreEvent[] {
  switch (followed.type) {
    case "recovered":
    case "resumed":
      return [{ type: followed.type }];
    case "snapshot":
      return [{ ...snapshotOf(followed.kvs, reading), restored: followed.restored }];
    case "changes":
      return followed.events.flatMap((event) => changeOf(event, reading));
  }
}

function snapshotOf<K extends StoredKey>(
  kvs: readonly K[],
  reading: RecordReading<K>,
): Listing & { readonly type: "snapshot" } {
  const leases: Lease[] = [];
  const unreadable: Unreadable[] = [];
  for (const kv of kvs) {
    const read = reading.read(kv);
    if (read === null) continue;
    if ("reason" in read) unreadable.push(read);
    else leases.push(read);
  }
  return { type: "snapshot", leases, unreadable };
}

function changeOf<K extends StoredKey>({ type, kv }: WatchEvent<K>, reading: RecordReading<K>): StoreEvent[] {
  if (type === "delete") {
    const place = readKey(reading.keys, kv.key);
    if (place === null) return [];
    const { name: key, subnets } = place;
    return [subnets === null ? { type: "gone", key } : { type, subnets }];
  }
  const read = reading.read(kv);
  if (read === null) return [];
  return ["reason" in read ? { type: "unreadable", unreadable: read } : { type, lease: read }];
}
