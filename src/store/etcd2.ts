/**
 * The store on etcd's v2 API, as flannel up to 0.17 used it: the same keys and values as upstream's, in a space of keys of its
 * own that the v3 API does not see.
 */
import type { NetworkConfig } from "../model/network_config.ts";
import type { ConfigPlace } from "./config_place.ts";
import { EtcdConfigPlace, type WriteText } from "./etcd_config.ts";
import { type EtcdKeys, etcdKeys, NO_IPV6_ALONE } from "./etcd_keys.ts";
import {
  connectOptions,
  type EtcdFlags,
  EtcdStoreBase,
  type EtcdStoreFlags,
  type EtcdStoreOptions,
} from "./etcd_store.ts";
import { connectEtcd2 } from "./etcd2_client.ts";
import type { Etcd2Node, Etcd2Remote } from "./etcd2_remote.ts";
import { Etcd2Table } from "./etcd2_table.ts";
import { LEASE_TTL_MS } from "./lease_table.ts";
import type { ConfigReading } from "./store.ts";

/**
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export function openEtcd2Store(flags: EtcdStoreFlags): Etcd2Store {
  return new Etcd2Store(connectEtcd2(connectOptions(flags)), flags);
}

/**
 * The configuration's place in the same etcd.
 *
 * @throws like `openEtcd2Store`
 */
export function openEtcd2Config(flags: EtcdFlags): ConfigPlace {
  return etcd2ConfigPlace(connectEtcd2(connectOptions(flags)), flags.prefix);
}

/** The place owns `remote` and closes it. */
export function etcd2ConfigPlace(remote: Etcd2Remote, prefix: string): ConfigPlace {
  const { config: key } = etcd2Keys(prefix);
  const write: WriteText = (value, expect) => remote.write({ key, expect, put: { value, ttl: null } });
  return new EtcdConfigPlace(remote, write, key, noConfig(key), withoutIpv4);
}

/** All keys are absolute in this API; with v3 a slash that is missing stays missing. */
export function etcd2Keys(prefix: string): EtcdKeys {
  const keys = etcdKeys(`/${prefix}`);
  return { ...keys, subnet6: null, records: keys.subnets };
}

export class Etcd2Store extends EtcdStoreBase<Etcd2Node> {
  /** The store owns `remote` and closes it. */
  constructor(remote: Etcd2Remote, options: EtcdStoreOptions) {
    const keys = etcd2Keys(options.prefix);
    const table = new Etcd2Table(remote, keys, options.clock, options.ttlMs ?? LEASE_TTL_MS);
    super({ remote, keys, table, noConfig: noConfig(keys.config) }, options);
  }

  override async *watchConfig(signal: AbortSignal): AsyncGenerator<ConfigReading> {
    for await (const reading of super.watchConfig(signal)) yield withIpv4(reading);
  }
}

function withIpv4(reading: ConfigReading): ConfigReading {
  const error = reading.type === "config" ? withoutIpv4(reading.config) : null;
  return error === null ? reading : { type: "problem", error };
}

function withoutIpv4({ v4 }: NetworkConfig): string | null {
  return v4 === null ? NO_IPV6_ALONE : null;
}

function noConfig(key: string): string {
  return `flannel config not found in etcd store. Did you create your config using etcdv2 API? "${key}" is absent; ` +
    `create it, as in ETCDCTL_API=2 etcdctl set ${key} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`;
}
