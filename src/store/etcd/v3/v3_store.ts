/**
 * The etcd v3 store: host records and network configuration as upstream keeps them, under leases that are kept alive.
 *
 * The store itself works on the seam of `remote.ts` and loads no client library; `openV3Store` does, when it is called.
 */
import type { ConfigPlace } from "../../config_place.ts";
import { EtcdConfigPlace, type WriteText } from "../config.ts";
import { etcdKeys } from "../keys.ts";
import {
  connectOptions,
  type EtcdFlags,
  EtcdStore,
  type EtcdStoreFlags,
  type EtcdStoreOptions,
} from "../etcd_store.ts";
import { type KeyValue, NO_LEASE, type V3Remote } from "./remote.ts";
import { PermittedRemote } from "./permitted.ts";
import { V3Table } from "./table.ts";
import { LEASE_TTL_MS } from "../../lease_table.ts";

/**
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export async function openV3Store(flags: EtcdStoreFlags): Promise<V3Store> {
  return new V3Store(await openV3Remote(flags), flags);
}

/**
 * The configuration's place in the same etcd.
 *
 * @throws like `openV3Store`
 */
export async function openV3Config(flags: EtcdFlags): Promise<ConfigPlace> {
  return v3ConfigPlace(await openV3Remote(flags), flags.prefix);
}

/** The place owns `remote` and closes it. */
export function v3ConfigPlace(remote: V3Remote, prefix: string): ConfigPlace {
  const { config: key } = etcdKeys(prefix);
  const write: WriteText = (value, expect) => remote.write({ key, expect, put: { value, lease: NO_LEASE } });
  return new EtcdConfigPlace(remote, write, key, noConfig(key));
}

/** @throws like `openV3Store` */
export async function openV3Remote(flags: EtcdFlags): Promise<V3Remote> {
  const options = connectOptions(flags);
  // Only here: the client library takes time and memory to load.
  const { connectV3 } = await import("./client.ts");
  return connectV3(options);
}

export class V3Store extends EtcdStore<KeyValue> {
  /** The store owns `etcd` and closes it. */
  constructor(etcd: V3Remote, options: EtcdStoreOptions) {
    const keys = etcdKeys(options.prefix);
    const remote = new PermittedRemote(etcd, keys, options.log);
    const table = new V3Table(remote, keys, options.clock, options.ttlMs ?? LEASE_TTL_MS);
    super({ remote, keys, table, noConfig: noConfig(keys.config) }, options);
  }
}

function noConfig(key: string): string {
  return "flannel config not found in etcd store. Did you create your config using etcdv3 API? " +
    `"${key}" is absent; create it, as in ` +
    `ETCDCTL_API=3 etcdctl put ${key} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`;
}
