/**
 * The network configuration in etcd: the value of `<prefix>/config`, now and after every change.
 *
 * What keeps us from reading it is told once for each cause, until it can be read again; trying goes on meanwhile.
 */
import type { ConfigSource, ConfigText } from "./config_source.ts";
import type { EtcdKeys } from "./etcd3_keys.ts";
import type { KeyValue } from "./etcd3_remote.ts";
import { follow, type FollowDeps } from "./etcd3_watch.ts";

export function etcdConfigSource(deps: FollowDeps, keys: EtcdKeys): ConfigSource {
  return { name: keys.config, watch: (signal) => watch(deps, keys, signal) };
}

async function* watch(deps: FollowDeps, keys: EtcdKeys, signal: AbortSignal): AsyncGenerator<ConfigText> {
  const told = new Set<string>();
  let last: ConfigText | null = null;
  for await (const followed of follow(deps, { key: keys.config, end: null }, signal)) {
    if (followed.type === "failed") {
      const { error, refused } = followed;
      if (!told.has(error)) yield { type: "problem", error, ...(refused && { refused }) };
      told.add(error);
      continue;
    }
    told.clear();
    if (followed.type === "snapshot") last = textOf(keys, followed.kvs[0]);
    if (followed.type === "changes") {
      const { type, kv } = followed.events.at(-1)!;
      last = textOf(keys, type === "put" ? kv : undefined);
    }
    // After an outage too: what stood before it stands again.
    if (last !== null) yield last;
  }
}

function textOf(keys: EtcdKeys, kv: KeyValue | undefined): ConfigText {
  if (kv !== undefined) return { type: "text", text: kv.value };
  return {
    type: "problem",
    error: "flannel config not found in etcd store. Did you create your config using etcdv3 API? " +
      `"${keys.config}" is absent; create it, as in ` +
      `ETCDCTL_API=3 etcdctl put ${keys.config} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`,
  };
}
