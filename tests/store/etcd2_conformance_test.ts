/** The etcd store on a real etcd's v2 API: the conformance suite. */
import type { EtcdCluster } from "../support/etcd.ts";
import { storeConformance } from "./conformance.ts";
import { etcd2Harness, startEtcd2 } from "./etcd2_harness.ts";

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

const open = () => Promise.resolve(etcd2Harness(etcd, `/conformance/${tests++}`));
storeConformance("etcd2", open, { shortTtlMs: 2000, ipv6Alone: false });
