/** An etcd for the tests of the etcd store: one process for many tests, each with a prefix of its own. */
import type { Log } from "../../src/observe/log.ts";
import { openV3Store, type V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { pause } from "../support/process.ts";
import { etcdPlace, type Harness, ownValue } from "./harness.ts";

/** Flags of a plain etcd with the default prefix; `other` replaces some. */
export function flags(endpoints: string, other: Partial<EtcdStoreFlags> = {}): EtcdStoreFlags {
  return {
    endpoints,
    prefix: "/coreos.com/network",
    keyfile: "",
    certfile: "",
    cafile: "",
    username: "",
    password: "",
    previous: { v4: null, v6: null },
    clock: systemClock(),
    random: systemRandom,
    ...other,
  };
}

/** A log that keeps its lines: `warn: …`. */
export function recordingLog(lines: string[]): Log {
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** The harness of the conformance suite on a part of an etcd's keys. */
export function etcdHarness(etcd: EtcdCluster, prefix: string): Harness {
  const stores: V3Store[] = [];
  const key = (name: string) => etcdPlace(prefix, name);
  return {
    clock: systemClock(),
    async store(_hostIp, options) {
      const store = await openV3Store(flags(etcd.endpoints, { prefix, ...options }));
      stores.push(store);
      return store;
    },
    value: ownValue,
    setConfig: async (text) => void await etcd.ctl("put", `${prefix}/config`, text),
    raw: {
      get: async (name) => {
        const text = await etcd.ctl("get", "--print-value-only", key(name));
        return text === "" ? null : text.replace(/\n$/, "");
      },
      put: async (name, value, ttlMs) => {
        const lease = ttlMs === undefined ? [] : [`--lease=${await grant(etcd, ttlMs)}`];
        await etcd.ctl("put", key(name), value, ...lease);
      },
      delete: async (name) => void await etcd.ctl("del", key(name)),
      ttl: async (name) => await remaining(etcd, key(name)),
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  };
}

/** The new lease's id in the hexadecimal form that etcdctl takes. */
async function grant(etcd: EtcdCluster, ttlMs: number): Promise<string> {
  const text = await etcd.ctl("lease", "grant", String(Math.ceil(ttlMs / 1000)));
  return /^lease ([0-9a-f]+) granted/.exec(text)![1]!;
}

/** Milliseconds until a key's lease ends; null where it has none. */
export async function remaining(etcd: EtcdCluster, key: string): Promise<number | null> {
  const lease = (await leaseOf(etcd, key))!;
  if (lease === "0") return null;
  const text = await etcd.ctl("lease", "timetolive", lease);
  return Number(/remaining\((-?\d+)s\)/.exec(text)![1]) * 1000;
}

/** The id of a key's lease, hexadecimal; `0` where it has none; null where the key is absent. */
export async function leaseOf(etcd: EtcdCluster, key: string): Promise<string | null> {
  const text = await etcd.ctl("get", "-w", "fields", key);
  const id = /"Lease" : (\d+)/.exec(text)?.[1];
  return id === undefined ? null : BigInt(id).toString(16);
}

/** A test in which connections fail: gRPC's timers outlive those by 60 ms, which the sanitizers would take for a leak. */
export function etcdTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: async () => {
      try {
        await fn();
      } finally {
        await pause(150);
      }
    },
  });
}
