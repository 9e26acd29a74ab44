/**
 * What both of etcd's APIs have in common as seen from our logic: a range of keys can be read, and followed from where it was
 * read. `v3/remote.ts` and `v2/remote.ts` add how each is written to.
 *
 * Every call ends: with an answer, a `StoreUnavailable` at the latest when its overall deadline is over, a `Failure` where etcd
 * or the TLS handshake refuses us, or the reason of the aborted signal.
 */

/** What is known of a key, whichever API tells it. Version 2 calls revisions indices. */
export interface StoredKey {
  readonly key: string;
  readonly modRevision: number;
}

/** @template K a key with its value, as the API has it */
export interface EtcdReader<K extends StoredKey> {
  /** For messages: `"http://10.0.0.1:2379", "http://10.0.0.2:2379"`. */
  readonly endpoints: string;
  /** Linearizable. */
  range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse<K>>;
  /**
   * Everything that happens in the range from `fromRevision` on. The first batch is empty and says that the watch stands;
   * later empty ones say how far etcd has come. Ends only by throwing.
   *
   * @throws HistoryLost where etcd can't tell what happened since `fromRevision`; StoreUnavailable when the connection is lost
   */
  watch(range: KeyRange, fromRevision: number, signal: AbortSignal): AsyncIterable<WatchBatch<K>>;
  /** Ends all watches and connections; calls under way reject. */
  close(): Promise<void>;
}

/** Bytes that one answer may have: what 100,000 records need several times over, and not all memory of a small host. */
export const LONGEST_LIST = 1 << 28;

/** The keys from `key` up to `end`, exclusive; just `key` where `end` is null. */
export interface KeyRange {
  readonly key: string;
  readonly end: string | null;
}

export interface RangeRequest extends KeyRange {
  /** Only the key that was modified last, without its value; `count` still counts all. */
  readonly newestOnly?: boolean;
}

export interface ResponseHeader {
  /** The cluster's id. */
  readonly cluster: string;
  /** The store's revision when the request was served. */
  readonly revision: number;
}

export interface RangeResponse<K> {
  readonly header: ResponseHeader;
  readonly kvs: readonly K[];
  readonly count: number;
}

export interface WatchBatch<K> {
  readonly header: ResponseHeader;
  readonly events: readonly WatchEvent<K>[];
}

/** For a delete, only `key` and `modRevision` (the deletion's) mean anything. */
export interface WatchEvent<K> {
  readonly type: "put" | "delete";
  readonly kv: K;
}

/** What happened since the revision asked for can't be told any more: all must be read again. */
export class HistoryLost extends Error {
  override readonly name: string = "HistoryLost";
}

/** The range of all keys that begin with `prefix`, which ends in an ASCII character below `~`. */
export function prefixRange(prefix: string): KeyRange {
  const last = prefix.length - 1;
  return { key: prefix, end: prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1) };
}
