/** Both APIs of one etcd for the tests of the store on both: what other clients do, they do in both. */
import { assertEquals } from "@std/assert";
import { type BothStore, openBothStore } from "../../src/store/etcd/both/both_store.ts";
import { decodeRecord } from "../../src/model/lease_codec.ts";
import { systemClock } from "../../src/system/clock.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { raw2 } from "./etcd2_harness.ts";
import { etcdHarness, flags } from "./etcd3_harness.ts";
import { type Harness, ownValue } from "./harness.ts";

export function bothHarness(etcd: EtcdCluster, prefix: string): Harness {
  const stores: BothStore[] = [];
  const [two, three] = [raw2(etcd, prefix), etcdHarness(etcd, prefix).raw];
  return {
    clock: systemClock(),
    async store(_hostIp, options) {
      const store = await openBothStore(flags(etcd.endpoints, { prefix, ...options }));
      stores.push(store);
      return store;
    },
    value: ownValue,
    async setConfig(text) {
      await etcd.ctl2("set", `${prefix}/config`, text);
      await etcd.ctl("put", `${prefix}/config`, text);
    },
    raw: {
      async get(key) {
        const [old, now] = [await two.get(key), await three.get(key)];
        assertEquals(old && decodeRecord(old), now && decodeRecord(now), `v2 and v3 differ at ${key}`);
        return now;
      },
      async put(key, text, ttlMs) {
        await two.put(key, text, ttlMs);
        await three.put(key, text, ttlMs);
      },
      async delete(key) {
        await two.delete(key);
        await three.delete(key);
      },
      async ttl(key) {
        const [old, now] = [await two.ttl(key), await three.ttl(key)];
        assertEquals(old === null, now === null);
        return old === null || now === null ? null : Math.min(old, now);
      },
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  };
}
