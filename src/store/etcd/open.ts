/** A store on etcd, and the place of its configuration, with the API that was asked for or the one that has our network. */
import { UsageError } from "../../model/errors.ts";
import type { ConfigPlace } from "../config_place.ts";
import type { ApiDeps } from "./api.ts";
import type { EtcdFlags, EtcdStoreFlags } from "./etcd_store.ts";
import type { Store } from "../store.ts";

export type EtcdApi = "auto" | "v2" | "v3" | "both";

/**
 * @param signal ends waiting for what "auto" has to know; null: nobody waits, and with no configuration anywhere it is v3
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used, and with "auto" where etcd refuses us;
 * the signal's reason on abort; without a signal StoreUnavailable
 */
export async function openEtcd(
  api: EtcdApi,
  flags: EtcdStoreFlags,
  signal: AbortSignal | null,
): Promise<Store> {
  switch (api) {
    case "v3":
      return await (await import("./v3/v3_store.ts")).openV3Store(flags);
    case "v2":
      return (await import("./v2/v2_store.ts")).openV2Store(flags);
    case "both":
      return await (await import("./both/both_store.ts")).openBothStore(flags);
    case "auto":
      return await openChosen(flags, signal);
  }
}

/**
 * With "auto" and no configuration anywhere it is v3's.
 *
 * @throws like `openEtcd`; StoreUnavailable where etcd is out of reach and has to be asked
 */
export async function openConfigPlace(api: EtcdApi, flags: EtcdFlags): Promise<ConfigPlace> {
  if (api === "both") {
    throw new UsageError(
      'use -etcd-api "both": a configuration of its own stands in each; give --etcd-api=v2 or --etcd-api=v3',
    );
  }
  const [etcd2, etcd3] = await Promise.all([import("./v2/v2_store.ts"), import("./v3/v3_store.ts")]);
  if (api === "v3") return await etcd3.openV3Config(flags);
  if (api === "v2") return etcd2.openV2Config(flags);
  const { chooseApi } = await import("./api.ts");
  return await withBoth(flags, async (both) => {
    const { api } = await chooseApi(both, null);
    return api === "v2"
      ? { api, result: etcd2.v2ConfigPlace(both.v2, flags.prefix) }
      : { api, result: etcd3.v3ConfigPlace(both.v3, flags.prefix) };
  });
}

/** Looks which API it is, and goes on with the connection that it looked through. */
async function openChosen(flags: EtcdStoreFlags, signal: AbortSignal | null): Promise<Store> {
  const [{ chooseApi }, { V2Store }, { V3Store }] = await Promise.all([
    import("./api.ts"),
    import("./v2/v2_store.ts"),
    import("./v3/v3_store.ts"),
  ]);
  return await withBoth<Store>(flags, async (both) => {
    const { api, why } = await chooseApi(both, signal);
    flags.log?.info(`using etcd's ${api} API: ${why}`);
    return api === "v2"
      ? { api, result: new V2Store(both.v2, flags) }
      : { api, result: new V3Store(both.v3, flags) };
  });
}

/** Connects through both; what `choose` makes owns the connection of its API, the other one is closed. */
async function withBoth<T>(
  flags: EtcdFlags,
  choose: (both: ApiDeps) => Promise<{ readonly api: "v2" | "v3"; readonly result: T }>,
): Promise<T> {
  const { connectOptions } = await import("./etcd_store.ts");
  const [{ connectV2 }, { connectV3 }] = await Promise.all([
    import("./v2/client.ts"),
    import("./v3/client.ts"),
  ]);
  const options = connectOptions(flags);
  const [v2, v3] = [connectV2(options), connectV3(options)];
  const { prefix, clock, log } = flags;
  try {
    const { api, result } = await choose({ v2, v3, prefix, clock, ...(log && { log }) });
    await (api === "v3" ? v2 : v3).close();
    return result;
  } catch (thrown) {
    await Promise.all([v2.close(), v3.close()]);
    throw thrown;
  }
}
