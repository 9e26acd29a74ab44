/**
 * The mark of a record that stands for one in etcd's other API: `"Mirror": "v2"` names where its origin is. Readers that do not
 * know it take the record for its origin's, which is what it is for.
 */
import type { LeaseRecord } from "../../../model/lease.ts";
import type { SideName } from "../side.ts";

/** Where the origin is; null for a record that is its own. */
export function mirrorOf(record: LeaseRecord): SideName | null {
  const mark = record.extra?.Mirror;
  return mark === "v2" || mark === "v3" ? mark : null;
}

export function asMirror(record: LeaseRecord, origin: SideName): LeaseRecord {
  return { ...record, extra: { ...record.extra, Mirror: origin } };
}
