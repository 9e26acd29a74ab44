/** The store on both of etcd's APIs, on a real etcd: the conformance suite. */
import type { EtcdCluster } from "../support/etcd.ts";
import { bothHarness } from "./both_harness.ts";
import { storeConformance } from "./conformance.ts";
import { startEtcd2 } from "./etcd2_harness.ts";

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

const open = () => Promise.resolve(bothHarness(etcd, `/conformance/${tests++}`));
storeConformance("etcd both", open, { shortTtlMs: 2000, configInTwo: true, ipv6Alone: false });
