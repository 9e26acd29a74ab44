/**
 * The etcd v3 store: host records and network configuration as upstream keeps them, under leases that are kept alive.
 *
 * The store itself works on the seam of `etcd3_remote.ts` and loads no client library; `openEtcdStore` does, when it is called.
 */
import type { ConfigPlace } from "./config_place.ts";
import { EtcdConfigPlace, type WriteText } from "./etcd_config.ts";
import { etcdKeys } from "./etcd_keys.ts";
import {
  connectOptions,
  type EtcdFlags,
  EtcdStoreBase,
  type EtcdStoreFlags,
  type EtcdStoreOptions,
} from "./etcd_store.ts";
import { type EtcdRemote, type KeyValue, NO_LEASE } from "./etcd3_remote.ts";
import { PermittedRemote } from "./etcd3_permitted.ts";
import { EtcdTable } from "./etcd3_table.ts";
import { LEASE_TTL_MS } from "./lease_table.ts";

/**
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export async function openEtcdStore(flags: EtcdStoreFlags): Promise<EtcdStore> {
  return new EtcdStore(await connectEtcd3(flags), flags);
}

/**
 * The configuration's place in the same etcd.
 *
 * @throws like `openEtcdStore`
 */
export async function openEtcdConfig(flags: EtcdFlags): Promise<ConfigPlace> {
  return etcd3ConfigPlace(await connectEtcd3(flags), flags.prefix);
}

/** The place owns `remote` and closes it. */
export function etcd3ConfigPlace(remote: EtcdRemote, prefix: string): ConfigPlace {
  const { config: key } = etcdKeys(prefix);
  const write: WriteText = (value, expect) => remote.write({ key, expect, put: { value, lease: NO_LEASE } });
  return new EtcdConfigPlace(remote, write, key, noConfig(key));
}

/** @throws like `openEtcdStore` */
export async function connectEtcd3(flags: EtcdFlags): Promise<EtcdRemote> {
  const options = connectOptions(flags);
  // Only here: the client library takes time and memory to load.
  const { connectEtcd } = await import("./etcd3_client.ts");
  return connectEtcd(options);
}

export class EtcdStore extends EtcdStoreBase<KeyValue> {
  /** The store owns `etcd` and closes it. */
  constructor(etcd: EtcdRemote, options: EtcdStoreOptions) {
    const keys = etcdKeys(options.prefix);
    const remote = new PermittedRemote(etcd, keys, options.log);
    const table = new EtcdTable(remote, keys, options.clock, options.ttlMs ?? LEASE_TTL_MS);
    super({ remote, keys, table, noConfig: noConfig(keys.config) }, options);
  }
}

function noConfig(key: string): string {
  return "flannel config not found in etcd store. Did you create your config using etcdv3 API? " +
    `"${key}" is absent; create it, as in ` +
    `ETCDCTL_API=3 etcdctl put ${key} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`;
}
