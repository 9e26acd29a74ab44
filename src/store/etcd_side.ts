/** One of etcd's two APIs as a side that records go from or to: for moving from one to the other, and for standing in both. */
import type { ConfigPlace } from "./config_place.ts";
import { connectOptions, type EtcdFlags } from "./etcd_store.ts";
import type { CopyTable } from "./lease_table.ts";
import { LEASE_TTL_MS } from "./lease_table.ts";

export type SideName = "v2" | "v3";

export interface EtcdSide extends AsyncDisposable {
  readonly api: SideName;
  readonly config: ConfigPlace;
  readonly table: CopyTable;
}

/** @throws UsageError for malformed flags; Failure where a TLS file can't be used */
export async function openSide(api: SideName, flags: EtcdFlags): Promise<EtcdSide> {
  const options = connectOptions(flags);
  if (api === "v2") {
    const [{ connectEtcd2 }, { etcd2ConfigPlace, etcd2Keys }, { Etcd2Table }] = await Promise.all([
      import("./etcd2_client.ts"),
      import("./etcd2.ts"),
      import("./etcd2_table.ts"),
    ]);
    const remote = connectEtcd2(options);
    const table = new Etcd2Table(remote, etcd2Keys(flags.prefix), flags.clock, LEASE_TTL_MS);
    return side(api, etcd2ConfigPlace(remote, flags.prefix), table);
  }
  const [{ connectEtcd }, { etcd3ConfigPlace }, { etcdKeys }, { PermittedRemote }, { EtcdTable }] =
    await Promise.all([
      import("./etcd3_client.ts"),
      import("./etcd3.ts"),
      import("./etcd_keys.ts"),
      import("./etcd3_permitted.ts"),
      import("./etcd3_table.ts"),
    ]);
  const keys = etcdKeys(flags.prefix);
  const remote = new PermittedRemote(connectEtcd(options), keys, flags.log);
  const table = new EtcdTable(remote, keys, flags.clock, LEASE_TTL_MS);
  return side(api, etcd3ConfigPlace(remote, flags.prefix), table);
}

/** Closing the configuration's place closes the connection of both. */
function side(api: SideName, config: ConfigPlace, table: CopyTable): EtcdSide {
  return { api, config, table, [Symbol.asyncDispose]: () => config[Symbol.asyncDispose]() };
}
