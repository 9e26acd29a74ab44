/** The store that `--store` names. A store's module is loaded only when it is chosen: etcd's client is large. */
import type { Clock, Random } from "../model/clock.ts";
import { UsageError } from "../model/errors.ts";
import type { Subnets } from "../model/lease.ts";
import type { Log } from "../observe/log.ts";
import type { ConfigPlace } from "../store/config_place.ts";
import type { EtcdFlags } from "../store/etcd3.ts";
import type { Store } from "../store/store.ts";
import type { DaemonOptions } from "./options.ts";

export interface StoreDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** From the previous subnet file. */
  readonly previous: Subnets;
}

/** @throws Failure where what the flags name cannot be read or opened */
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
 * @throws Failure where what the flags name cannot be read
 */
export async function openConfigPlace(
  options: DaemonOptions,
  deps: Omit<StoreDeps, "previous">,
): Promise<ConfigPlace> {
  const { openEtcdConfig } = await import("../store/etcd3.ts");
  return await openEtcdConfig({ ...etcdFlags(options), ...deps });
}

async function openEtcd(options: DaemonOptions, deps: StoreDeps): Promise<Store> {
  const { openEtcdStore } = await import("../store/etcd3.ts");
  return await openEtcdStore({ ...etcdFlags(options), ...deps });
}

function etcdFlags(options: DaemonOptions): Omit<EtcdFlags, keyof StoreDeps> {
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
  const { openSqliteStore } = await import("../store/sqlite.ts");
  const { fileConfigSource, literalConfigSource } = await import("../store/config_source.ts");
  const { networkConfigText: text, netConfigPath } = options;
  const config = text === undefined ? fileConfigSource(netConfigPath, deps.clock) : literalConfigSource(text);
  return await openSqliteStore({ path: file, config, readOnly: options.readOnly, ...deps });
}
