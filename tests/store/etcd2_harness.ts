/** An etcd's v2 API for the tests of that store: one process for many tests, each with a prefix of its own. */
import { openV2Store, type V2Store } from "../../src/store/etcd/v2/v2_store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { EtcdCluster, type EtcdOptions } from "../support/etcd.ts";
import { flags } from "./etcd3_harness.ts";
import { type Harness, oldOwnValue, type RawAccess } from "./harness.ts";

/** etcd 3.4 with its v2 API. */
export function startEtcd2(options: EtcdOptions = {}): Promise<EtcdCluster> {
  return EtcdCluster.start({ ...options, flags: ["--enable-v2", ...options.flags ?? []] });
}

/** The harness of the conformance suite on a part of an etcd's keys. */
export function etcd2Harness(etcd: EtcdCluster, prefix: string): Harness {
  const stores: V2Store[] = [];
  return {
    clock: systemClock(),
    store(_hostIp, options) {
      const store = openV2Store(flags(etcd.endpoints, { prefix, ...options }));
      stores.push(store);
      return Promise.resolve(store);
    },
    value: oldOwnValue,
    setConfig: async (text) => void await etcd.ctl2("set", `${prefix}/config`, text),
    raw: raw2(etcd, prefix),
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  };
}

/** Records in the v2 API below a prefix, by etcdctl. */
export function raw2(etcd: EtcdCluster, prefix: string): RawAccess {
  const key = (name: string) => `${prefix}/subnets/${name}`;
  return {
    get: async (name) => {
      const text = await absentAsNull(etcd.ctl2("get", key(name)));
      return text && text.replace(/\n$/, "");
    },
    put: async (name, value, ttlMs) => {
      const ttl = ttlMs === undefined ? [] : [`--ttl=${Math.ceil(ttlMs / 1000)}`];
      await etcd.ctl2("set", ...ttl, key(name), value);
    },
    delete: async (name) => void await etcd.ctl2("rm", key(name)),
    ttl: async (name) => {
      const text = await etcd.ctl2("-o", "extended", "get", key(name));
      const ttl = Number(/^TTL: (\d+)$/m.exec(text)![1]);
      return ttl === 0 ? null : ttl * 1000;
    },
  };
}

async function absentAsNull(text: Promise<string>): Promise<string | null> {
  try {
    return await text;
  } catch (error) {
    if (error instanceof Error && /100: Key not found/.test(error.message)) return null;
    throw error;
  }
}
