/**
 * A store on etcd, whichever API it speaks: what both have in common is reading, following and waiting; how records are
 * written is the lease table's part. `etcd3.ts` and `etcd2.ts` put the parts together.
 */
import type { Clock, Random } from "../model/clock.ts";
import { describeSubnets, type Lease, type LeaseRecord, type Subnets } from "../model/lease.ts";
import { abortable } from "../async/abortable.ts";
import type { Log } from "../observe/log.ts";
import { acquire, createAt } from "./acquire.ts";
import { readConfig } from "./config_source.ts";
import { etcdConfigSource, type StoredText } from "./etcd_config.ts";
import { parseEndpoints, plainTextWarnings } from "./etcd_endpoints.ts";
import type { ConnectOptions } from "./etcd_failover.ts";
import { follow, type FollowDeps, type Followed } from "./etcd_follow.ts";
import { type EtcdKeys, readKey } from "./etcd_keys.ts";
import type { EtcdReader, WatchEvent } from "./etcd_remote.ts";
import { tlsConfigured, TlsFiles, type TlsPaths } from "./etcd_tls.ts";
import type { CopyTable } from "./lease_table.ts";
import {
  type Claim,
  type ConfigReading,
  type Listing,
  type Look,
  type Lost,
  type Store,
  type StoreEvent,
  StoreUnavailable,
  type Unreadable,
} from "./store.ts";

export interface EtcdStoreOptions {
  /** `-etcd-prefix`. */
  readonly prefix: string;
  /** The subnets of the previous subnet.env: they stand in the store's name. */
  readonly previous: Subnets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log | undefined;
  /** Of a lease, milliseconds; 24 hours unless told. */
  readonly ttlMs?: number;
}

/** How to get to etcd, and what to look at there. */
export interface EtcdFlags extends Pick<EtcdStoreOptions, "prefix" | "clock" | "random" | "log">, TlsPaths {
  /** `-etcd-endpoints`: separated by commas. */
  readonly endpoints: string;
  /** Empty: no authentication. */
  readonly username: string;
  readonly password: string;
}

export interface EtcdStoreFlags extends EtcdStoreOptions, EtcdFlags {}

/**
 * How to connect, from the flags. etcd need not run yet.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export function connectOptions(flags: EtcdFlags): ConnectOptions {
  const { clock, random, log, username, password } = flags;
  const endpoints = parseEndpoints(flags.endpoints, tlsConfigured(flags));
  const tls = new TlsFiles(flags, log);
  for (const line of plainTextWarnings(endpoints, flags)) log?.warn(line);
  return { endpoints, tls, username, password, clock, random };
}

export interface EtcdParts<K extends StoredText> {
  /** The store owns it and closes it. */
  readonly remote: EtcdReader<K>;
  readonly keys: EtcdKeys;
  readonly table: CopyTable & { read(kv: K): Lease | Unreadable | null };
  /** What to say where there is no configuration. */
  readonly noConfig: string;
}

export class EtcdStoreBase<K extends StoredText> implements Store {
  readonly name: string;
  readonly capabilities = { allocates: true, expiry: true } as const;
  readonly #deps: FollowDeps<K>;
  readonly #parts: EtcdParts<K>;
  readonly #closing = new AbortController();

  constructor(parts: EtcdParts<K>, { previous, clock, random, log }: EtcdStoreOptions) {
    this.name = `Etcd Local Manager with Previous Subnet: ${describeSubnets(previous) || "None"}`;
    this.#parts = parts;
    this.#deps = { remote: parts.remote, clock, random, ...(log && { log }) };
  }

  /** The records as such, for who stands in several stores. */
  get table(): CopyTable {
    return this.#parts.table;
  }

  watchConfig(signal: AbortSignal): AsyncIterable<ConfigReading> {
    const { keys, noConfig } = this.#parts;
    return readConfig(etcdConfigSource(this.#deps, keys.config, noConfig), this.#orClosed(signal));
  }

  acquire(claim: Claim, signal: AbortSignal): Promise<Lease> {
    const end = this.#orClosed(signal);
    return abortable(acquire(this.#parts.table, claim, this.#deps, end), end);
  }

  look(lease: Lease, signal?: AbortSignal): Promise<Look> {
    return abortable(this.#parts.table.look(lease), signal);
  }

  create(subnets: Subnets, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost | null> {
    return abortable(createAt(this.#parts.table, subnets, record), signal);
  }

  publish(lease: Lease, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.#parts.table.update(lease, record), signal);
  }

  renew(lease: Lease, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.#parts.table.renew(lease), signal);
  }

  release(lease: Lease, signal?: AbortSignal): Promise<void> {
    return abortable(this.#parts.table.remove(lease), signal);
  }

  list(signal?: AbortSignal): Promise<Listing> {
    return abortable(this.#parts.table.list(), signal);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<StoreEvent> {
    let out: "unreachable" | "refused" | null = null;
    for await (const followed of follow(this.#deps, this.#parts.keys.records, this.#orClosed(signal))) {
      if (followed.type === "failed") {
        const { error, refused } = followed;
        const state = refused ? "refused" : "unreachable";
        if (state !== out) yield { type: "outage", error, ...(refused && { refused }) };
        out = state;
      } else {
        out = null;
        yield* this.#tell(followed);
      }
    }
  }

  #tell(followed: Exclude<Followed<K>, { type: "failed" }>): readonly StoreEvent[] {
    switch (followed.type) {
      case "recovered":
      case "resumed":
        return [{ type: followed.type }];
      case "snapshot":
        return [{ ...this.#snapshot(followed.kvs), restored: followed.restored }];
      case "changes":
        return followed.events.flatMap((event) => this.#change(event));
    }
  }

  #snapshot(kvs: readonly K[]): Listing & { readonly type: "snapshot" } {
    const leases: Lease[] = [];
    const unreadable: Unreadable[] = [];
    for (const kv of kvs) {
      const read = this.#parts.table.read(kv);
      if (read === null) continue;
      if ("reason" in read) unreadable.push(read);
      else leases.push(read);
    }
    return { type: "snapshot", leases, unreadable };
  }

  #change({ type, kv }: WatchEvent<K>): StoreEvent[] {
    if (type === "delete") {
      const place = readKey(this.#parts.keys, kv.key);
      if (place === null) return [];
      const { name: key, subnets } = place;
      return [subnets === null ? { type: "gone", key } : { type, subnets }];
    }
    const read = this.#parts.table.read(kv);
    if (read === null) return [];
    return ["reason" in read ? { type: "unreadable", unreadable: read } : { type, lease: read }];
  }

  /** Ends every iterable and attempt, then the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable("the etcd store is closed"));
    await this.#parts.remote.close();
  }

  #orClosed(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}
