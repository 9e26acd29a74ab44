/**
 * The network configuration in etcd: the value of `<prefix>/config`, now and after every change.
 *
 * What keeps us from reading it is told once for each cause, until it can be read again; trying goes on meanwhile.
 */
import type { ConfigPlace, StoredConfig } from "./config_place.ts";
import type { ConfigSource, ConfigText } from "./config_source.ts";
import type { EtcdKeys } from "./etcd3_keys.ts";
import { type EtcdRemote, type KeyValue, NO_LEASE } from "./etcd3_remote.ts";
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
  return kv === undefined ? { type: "problem", error: absent(keys) } : { type: "text", text: kv.value };
}

function absent(keys: EtcdKeys): string {
  return "flannel config not found in etcd store. Did you create your config using etcdv3 API? " +
    `"${keys.config}" is absent; create it, as in ` +
    `ETCDCTL_API=3 etcdctl put ${keys.config} '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'`;
}

/** The key, for commands. Owns `remote` and closes it. */
export class EtcdConfigPlace implements ConfigPlace {
  readonly name: string;
  readonly absent: string;
  readonly #remote: EtcdRemote;

  constructor(remote: EtcdRemote, keys: EtcdKeys) {
    this.name = keys.config;
    this.absent = absent(keys);
    this.#remote = remote;
  }

  async read(): Promise<StoredConfig | null> {
    const { kvs: [kv] } = await this.#remote.range({ key: this.name, end: null });
    return kv === undefined ? null : { text: kv.value, version: String(kv.modRevision) };
  }

  async write(text: string, over: StoredConfig | null): Promise<boolean> {
    const put = { value: text, lease: NO_LEASE };
    const expect = over === null ? 0 : Number(over.version);
    const { succeeded, current } = await this.#remote.write({ key: this.name, expect, put });
    // A write that was sent twice has met itself.
    return succeeded || current?.value === text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remote.close();
  }
}
