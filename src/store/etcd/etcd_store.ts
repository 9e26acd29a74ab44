/**
 * A store on etcd, whichever API it speaks: what both have in common is reading, following and waiting; how records are
 * written is the lease table's part. `v3/v3_store.ts` and `v2/v2_store.ts` put the parts together.
 */
import type { Clock, Random } from "../../model/clock.ts";
import type { NetworkConfig } from "../../model/network_config.ts";
import { describeSubnets, type Lease, type Subnets } from "../../model/lease.ts";
import type { Log } from "../../observe/log.ts";
import { readConfig } from "../config_source.ts";
import { etcdConfigSource, type StoredText } from "./config.ts";
import { recordEvents } from "./events.ts";
import { parseEndpoints, plainTextWarnings } from "./endpoints.ts";
import type { ConnectOptions } from "./failover.ts";
import type { EtcdKeys } from "./keys.ts";
import type { EtcdReader } from "./reader.ts";
import { tlsConfigured, TlsFiles, type TlsPaths } from "./tls.ts";
import type { CopyTable } from "../lease_table.ts";
import { TableStore } from "../table_store.ts";
import type { ConfigReading, Unreadable } from "../store.ts";

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
  /** What is wrong with a configuration that can be read, for this API. */
  objection?(config: NetworkConfig): string | null;
}

/** A store on one of the two APIs; it owns its connection and closes it. */
export class EtcdStore<K extends StoredText> extends TableStore<CopyTable> {
  constructor(parts: EtcdParts<K>, { previous, clock, random, log }: EtcdStoreOptions) {
    const { remote, keys, table, noConfig } = parts;
    const deps = { remote, clock, random, ...(log && { log }) };
    const reading = { keys, read: (kv: K) => table.read(kv) };
    super({
      name: `Etcd Local Manager with Previous Subnet: ${describeSubnets(previous) || "None"}`,
      table,
      deps,
      config: (signal) => usable(readConfig(etcdConfigSource(deps, keys.config, noConfig), signal), parts),
      events: (signal) => recordEvents(deps, reading, signal),
      close: () => remote.close(),
    });
  }
}

async function* usable<K extends StoredText>(
  readings: AsyncIterable<ConfigReading>,
  { objection }: EtcdParts<K>,
): AsyncGenerator<ConfigReading> {
  for await (const reading of readings) {
    const error = reading.type === "config" ? objection?.(reading.config) ?? null : null;
    yield error === null ? reading : { type: "problem", error };
  }
}
