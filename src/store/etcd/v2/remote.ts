/**
 * The seam between our logic and etcd's v2 API: reading and following as in `../reader.ts`, and one conditional write.
 *
 * - Names follow `../v3/remote.ts`: what v2 calls createdIndex and modifiedIndex are revisions here.
 * - A key has its own lifetime; there are no leases.
 * - An unconditional write (upstream's renewals) makes the key anew: `createRevision` says when the last one was.
 * - A call may be sent twice: a write that reports a conflict may have conflicted with itself, the caller looks at `current`.
 */
import type { Instant } from "../../../model/clock.ts";
import type { StoredText } from "../config.ts";
import { type EtcdReader, HistoryLost } from "../reader.ts";

export interface V2Remote extends EtcdReader<V2Node> {
  /** If the key is as expected then put or delete, else read it. */
  write(request: V2Write, signal?: AbortSignal): Promise<V2Written>;
  /** The server's release: `3.4.23`; empty where it does not say. */
  release(signal?: AbortSignal): Promise<string>;
}

export interface V2Node extends StoredText {
  readonly createRevision: number;
  /** Null where it never ends. */
  readonly expires: Instant | null;
}

export interface V2Write {
  readonly key: string;
  /** The modification revision at which the key must be; 0: it must not exist. */
  readonly expect: number;
  /** The value that the key must have as well: a store that was restored from a backup uses indices again. */
  readonly expectValue?: string;
  /** Null deletes. `ttl` in seconds; null: for ever. */
  readonly put: { readonly value: string; readonly ttl: number | null } | null;
}

export type V2Written =
  /** After a delete, what was deleted. */
  | { readonly succeeded: true; readonly node: V2Node }
  /** The key as it is; null where it is absent. */
  | { readonly succeeded: false; readonly current: V2Node | null };

/** etcd keeps its last 1,000 events. */
export class IndexCleared extends HistoryLost {
  override readonly name = "IndexCleared";
  constructor(readonly revision: number) {
    super(`etcd has cleared its history up to index ${revision}`);
  }
}
