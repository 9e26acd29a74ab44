/** One of etcd's two APIs as a side that records go from or to: for moving from one to the other, and for standing in both. */
import type { ConfigPlace } from "../config_place.ts";
import { connectOptions, type EtcdFlags } from "./etcd_store.ts";
import type { CopyTable } from "../lease_table.ts";
import { LEASE_TTL_MS } from "../lease_table.ts";

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
    const [{ connectV2 }, { v2ConfigPlace, v2Keys }, { V2Table }] = await Promise.all([
      import("./v2/client.ts"),
      import("./v2/v2_store.ts"),
      import("./v2/table.ts"),
    ]);
    const remote = connectV2(options);
    const table = new V2Table(remote, v2Keys(flags.prefix), flags.clock, LEASE_TTL_MS);
    return side(api, v2ConfigPlace(remote, flags.prefix), table);
  }
  const [{ connectV3 }, { v3ConfigPlace }, { etcdKeys }, { PermittedRemote }, { V3Table }] = await Promise
    .all([
      import("./v3/client.ts"),
      import("./v3/v3_store.ts"),
      import("./keys.ts"),
      import("./v3/permitted.ts"),
      import("./v3/table.ts"),
    ]);
  const keys = etcdKeys(flags.prefix);
  const remote = new PermittedRemote(connectV3(options), keys, flags.log);
  const table = new V3Table(remote, keys, flags.clock, LEASE_TTL_MS);
  return side(api, v3ConfigPlace(remote, flags.prefix), table);
}

/** Closing the configuration's place closes the connection of both. */
function side(api: SideName, config: ConfigPlace, table: CopyTable): EtcdSide {
  return { api, config, table, [Symbol.asyncDispose]: () => config[Symbol.asyncDispose]() };
}
