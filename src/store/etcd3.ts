/**
 * The etcd v3 store: host records and network configuration as upstream keeps them, under leases that are kept alive.
 *
 * The store itself works on the seam of `etcd3_remote.ts` and loads no client library; `openEtcdStore` does, when it is called.
 */
import type { Clock, Random } from "../model/clock.ts";
import { describeSubnets, type Lease, type LeaseRecord, type Subnets } from "../model/lease.ts";
import type { Log } from "../observe/log.ts";
import { acquire } from "./acquire.ts";
import type { ConfigPlace } from "./config_place.ts";
import { readConfig } from "./config_source.ts";
import { EtcdConfigPlace, etcdConfigSource } from "./etcd3_config.ts";
import { parseEndpoints, plainTextWarnings } from "./etcd3_endpoints.ts";
import { type EtcdKeys, etcdKeys, readLease, readListing, subnetsOf } from "./etcd3_keys.ts";
import type { EtcdRemote, WatchEvent } from "./etcd3_remote.ts";
import { EtcdTable } from "./etcd3_table.ts";
import { tlsConfigured, TlsFiles, type TlsPaths } from "./etcd3_tls.ts";
import { follow, type FollowDeps, type Followed } from "./etcd3_watch.ts";
import { LEASE_TTL_MS } from "./lease_table.ts";
import {
  type Claim,
  type ConfigReading,
  type Listing,
  type Lost,
  type Store,
  type StoreEvent,
  StoreUnavailable,
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
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export async function openEtcdStore(flags: EtcdStoreFlags): Promise<EtcdStore> {
  return new EtcdStore(await connect(flags), flags);
}

/**
 * The configuration's place in the same etcd.
 *
 * @throws like `openEtcdStore`
 */
export async function openEtcdConfig(flags: EtcdFlags): Promise<ConfigPlace> {
  return new EtcdConfigPlace(await connect(flags), etcdKeys(flags.prefix));
}

async function connect(flags: EtcdFlags): Promise<EtcdRemote> {
  const { clock, random, log, username, password } = flags;
  const endpoints = parseEndpoints(flags.endpoints, tlsConfigured(flags));
  const tls = new TlsFiles(flags, log);
  for (const line of plainTextWarnings(endpoints, flags)) log?.warn(line);
  // Only here: the client library takes time and memory to load.
  const { connectEtcd } = await import("./etcd3_client.ts");
  return connectEtcd({ endpoints, tls, username, password, clock, random });
}

export class EtcdStore implements Store {
  readonly name: string;
  readonly capabilities = { allocates: true, expiry: true } as const;
  readonly #deps: FollowDeps;
  readonly #keys: EtcdKeys;
  readonly #table: EtcdTable;
  readonly #closing = new AbortController();

  /** The store owns `remote` and closes it. */
  constructor(remote: EtcdRemote, { prefix, previous, clock, random, log, ttlMs }: EtcdStoreOptions) {
    this.name = `Etcd Local Manager with Previous Subnet: ${describeSubnets(previous) || "None"}`;
    this.#deps = { remote, clock, random, ...(log && { log }) };
    this.#keys = etcdKeys(prefix);
    this.#table = new EtcdTable(remote, this.#keys, clock, ttlMs ?? LEASE_TTL_MS);
  }

  watchConfig(signal: AbortSignal): AsyncIterable<ConfigReading> {
    return readConfig(etcdConfigSource(this.#deps, this.#keys), this.#orClosed(signal));
  }

  acquire(claim: Claim, signal: AbortSignal): Promise<Lease> {
    return acquire(this.#table, claim, this.#deps, this.#orClosed(signal));
  }

  publish(lease: Lease, record: LeaseRecord): Promise<Lease | Lost> {
    return this.#table.update(lease, record);
  }

  renew(lease: Lease): Promise<Lease | Lost> {
    return this.#table.renew(lease);
  }

  release(lease: Lease): Promise<void> {
    return this.#table.remove(lease);
  }

  list(): Promise<Listing> {
    return this.#table.list();
  }

  async *watch(signal: AbortSignal): AsyncGenerator<StoreEvent> {
    let out = false;
    for await (const followed of follow(this.#deps, this.#keys.subnets, this.#orClosed(signal))) {
      if (followed.type === "failed") {
        if (!out) yield { type: "outage", error: followed.error };
        out = true;
      } else {
        out = false;
        yield* this.#tell(followed);
      }
    }
  }

  #tell(followed: Exclude<Followed, { type: "failed" }>): readonly StoreEvent[] {
    switch (followed.type) {
      case "recovered":
        return [{ type: "recovered" }];
      case "snapshot":
        return [{ type: "snapshot", ...readListing(this.#keys, followed.kvs, this.#table.latestExpiry()) }];
      case "changes":
        return followed.events.flatMap((event) => this.#change(event));
    }
  }

  #change({ type, kv }: WatchEvent): StoreEvent[] {
    if (type === "delete") {
      const subnets = subnetsOf(this.#keys, kv.key);
      return subnets === null ? [] : [{ type, subnets }];
    }
    const read = readLease(this.#keys, kv, this.#table.latestExpiry());
    return ["reason" in read ? { type: "unreadable", unreadable: read } : { type, lease: read }];
  }

  /** Ends every iterable and attempt, then the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable("the etcd store is closed"));
    await this.#deps.remote.close();
  }

  #orClosed(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}
