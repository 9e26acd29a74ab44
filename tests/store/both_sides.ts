/** One etcd with both of its APIs for the tests of the bridge: a prefix of its own for each, with raw access to either side. */
import { type BothStore, openBothStore } from "../../src/store/etcd/both/both_store.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { poll } from "../support/process.ts";
import { raw2, startEtcd2 } from "./etcd2_harness.ts";
import { etcdHarness, etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import type { RawAccess } from "./harness.ts";

export const CONFIG = '{"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan"}}';
/** Hosts. */
export const [A, B, C] = ["192.168.0.1", "192.168.0.2", "192.168.0.3"] as const;
export const OTHER_MAC = "02:00:00:00:00:99";

export interface BothSides {
  readonly etcd: EtcdCluster;
  readonly prefix: string;
  readonly v2: RawAccess;
  readonly v3: RawAccess;
  readonly log: string[];
  open(other?: Partial<EtcdStoreFlags>): Promise<BothStore>;
  setConfig(two: string, three?: string): Promise<void>;
}

/** Starts the etcd of a test file and returns how its tests are registered. */
export function bothSides(): (name: string, body: (setup: BothSides) => Promise<void>) => void {
  let etcd: EtcdCluster;
  let tests = 0;
  Deno.test.beforeAll(async () => {
    etcd = await startEtcd2();
  });
  Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());
  return (name, body) =>
    etcdTest(`etcd both: ${name}`, async () => {
      const stores: BothStore[] = [];
      try {
        await body(sidesOf(etcd, `/test/${tests++}`, stores));
      } finally {
        for (const store of stores) await store[Symbol.asyncDispose]();
      }
    });
}

function sidesOf(etcd: EtcdCluster, prefix: string, stores: BothStore[]): BothSides {
  const log: string[] = [];
  return {
    etcd,
    prefix,
    v2: raw2(etcd, prefix),
    v3: etcdHarness(etcd, prefix).raw,
    log,
    async open(other) {
      const store = await openBothStore(flags(etcd.endpoints, { prefix, log: recordingLog(log), ...other }));
      stores.push(store);
      return store;
    },
    async setConfig(two, three = two) {
      await etcd.ctl2("set", `${prefix}/config`, two);
      await etcd.ctl("put", `${prefix}/config`, three);
    },
  };
}

/** What a mirror of this record looks like. */
export function mirrored(text: string, origin: "v2" | "v3"): string {
  return text.replace(/\}$/, `,"Mirror":"${origin}"}`);
}

export async function becomes(raw: RawAccess, key: string, text: string | null): Promise<void> {
  await poll(`${key} to become ${text}`, 20_000, async () => await raw.get(key) === text);
}
