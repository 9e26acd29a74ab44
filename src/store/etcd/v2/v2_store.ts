/**
 * The store on etcd's v2 API, as flannel up to 0.17 used it: the same keys and values as upstream's, in a space of keys of its
 * own that the v3 API does not see.
 */
import type { NetworkConfig } from "../../../model/network_config.ts";
import type { ConfigPlace } from "../../config_place.ts";
import { EtcdConfigPlace, type WriteText } from "../config.ts";
import { type EtcdKeys, etcdKeys, NO_IPV6_ALONE } from "../keys.ts";
import {
  connectOptions,
  type EtcdFlags,
  EtcdStore,
  type EtcdStoreFlags,
  type EtcdStoreOptions,
} from "../etcd_store.ts";
import { connectV2 } from "./client.ts";
import type { V2Node, V2Remote } from "./remote.ts";
import { V2Table } from "./table.ts";
import { LEASE_TTL_MS } from "../../lease_table.ts";

/**
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export function openV2Store(flags: EtcdStoreFlags): V2Store {
  return new V2Store(connectV2(connectOptions(flags)), flags);
}

/**
 * The configuration's place in the same etcd.
 *
 * @throws like `openV2Store`
 */
export function openV2Config(flags: EtcdFlags): ConfigPlace {
  return v2ConfigPlace(connectV2(connectOptions(flags)), flags.prefix);
}

/** The place owns `remote` and closes it. */
export function v2ConfigPlace(remote: V2Remote, prefix: string): ConfigPlace {
  const { config: key } = v2Keys(prefix);
  const write: WriteText = (value, expect) => remote.write({ key, expect, put: { value, ttl: null } });
  return new EtcdConfigPlace(remote, write, key, noConfig(key), withoutIpv4);
}

/** All keys are absolute in this API; with v3 a slash that is missing stays missing. */
export function v2Keys(prefix: string): EtcdKeys {
  const keys = etcdKeys(`/${prefix}`);
  return { ...keys, subnet6: null, records: keys.subnets };
}

export class V2Store extends EtcdStore<V2Node> {
  /** The store owns `remote` and closes it. */
  constructor(remote: V2Remote, options: EtcdStoreOptions) {
    const keys = v2Keys(options.prefix);
    const table = new V2Table(remote, keys, options.clock, options.ttlMs ?? LEASE_TTL_MS);
    super({ remote, keys, table, noConfig: noConfig(keys.config), objection: withoutIpv4 }, options);
  }
}

function withoutIpv4({ v4 }: NetworkConfig): string | null {
  return v4 === null ? NO_IPV6_ALONE : null;
}

function noConfig(key: string): string {
  return `flannel config not found in etcd store. Did you create your config using etcdv2 API? "${key}" is absent; ` +
    `create it, as in ETCDCTL_API=2 etcdctl set ${key} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`;
}
