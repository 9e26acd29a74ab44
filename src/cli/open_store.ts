/** The store that `--store` names. A store's module is loaded only when it is chosen: etcd's client is large. */
import type { Clock, Random } from "../model/clock.ts";
import { UsageError } from "../model/errors.ts";
import type { Subnets } from "../model/lease.ts";
import type { Log } from "../observe/log.ts";
import type { ConfigPlace } from "../store/config_place.ts";
import type { EtcdFlags } from "../store/etcd/etcd_store.ts";
import type { Store } from "../store/store.ts";
import type { DaemonOptions } from "./options.ts";

export interface StoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** From the previous subnet file. */
  readonly previous: Subnets;
  /** Ends waiting for etcd, and for a configuration, where it has to be found out which API has one; without it nobody waits. */
  readonly stop?: AbortSignal;
}

/** @throws Failure where what the flags name cannot be read or opened; the reason of `deps.stop` */
export async function openStore(options: DaemonOptions, deps: StoreDeps): Promise<Store> {
  const { store } = options;
  switch (store.type) {
    case "etcd":
      return await openEtcd(options, deps);
    case "sqlite":
      return await openSqlite(store.file, options, deps);
    case "kubernetes":
      throw new UsageError(
        'open the store "kubernetes": not in this release; use --store=etcd or --store=sqlite:FILE',
      );
  }
}

/**
 * Where etcd keeps the network configuration; other stores keep none.
 *
 * @throws Failure where what the flags name cannot be read; StoreUnavailable where etcd is out of reach and it has to be asked
 * which API has the network
 */
export async function openConfigPlace(
  options: DaemonOptions,
  deps: Omit<StoreDeps, "previous">,
): Promise<ConfigPlace> {
  const { openConfigPlace } = await import("../store/etcd/open.ts");
  return await openConfigPlace(options.etcdApi, { ...etcdFlags(options), ...deps });
}

async function openEtcd(options: DaemonOptions, deps: StoreDeps): Promise<Store> {
  const { openEtcd } = await import("../store/etcd/open.ts");
  return await openEtcd(options.etcdApi, { ...etcdFlags(options), ...deps }, deps.stop ?? null);
}

/** What the -etcd flags say of the way to etcd. */
export function etcdFlags(options: DaemonOptions): Omit<EtcdFlags, keyof StoreDeps> {
  return {
    endpoints: options.etcdEndpoints.join(","),
    prefix: options.etcdPrefix,
    keyfile: options.etcdKeyfile,
    certfile: options.etcdCertfile,
    cafile: options.etcdCafile,
    username: options.etcdUsername,
    password: options.etcdPassword,
  };
}

async function openSqlite(file: string, options: DaemonOptions, deps: StoreDeps): Promise<Store> {
  const { openSqliteStore } = await import("../store/rows/sqlite.ts");
  const { fileConfigSource, literalConfigSource } = await import("../store/config_source.ts");
  const { networkConfigText: text, netConfigPath } = options;
  const config = text === undefined ? fileConfigSource(netConfigPath, deps.clock) : literalConfigSource(text);
  return await openSqliteStore({ path: file, config, readOnly: options.readOnly, ...deps });
}
