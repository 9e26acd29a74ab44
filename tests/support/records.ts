/** Records in a real etcd, through either of its APIs, from outside any store of ours. */
import type { EtcdCluster } from "./etcd.ts";

export interface Records {
  /** The value of a key that is there. */
  get(key: string): Promise<string>;
  /** Lets the lease of a key come to its end, at once or in a second. */
  end(key: string): Promise<void>;
}

export function recordsOf(etcd: EtcdCluster, api: "v2" | "v3"): Records {
  return api === "v3" ? v3(etcd) : v2(etcd);
}

function v3(etcd: EtcdCluster): Records {
  return {
    get: (key) => etcd.ctl("get", "--print-value-only", key),
    async end(key) {
      const fields = await etcd.ctl("get", "-w", "fields", key);
      const lease = BigInt(/"Lease" : (\d+)/.exec(fields)![1]!);
      await etcd.ctl("lease", "revoke", lease.toString(16));
    },
  };
}

function v2(etcd: EtcdCluster): Records {
  const get = async (key: string) => (await etcd.ctl2("get", key)).replace(/\n$/, "");
  return { get, end: async (key) => void await etcd.ctl2("set", "--ttl=1", key, await get(key)) };
}
