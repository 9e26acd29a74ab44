/** The etcd store on a real etcd: the conformance suite. */
import { EtcdCluster } from "../support/etcd.ts";
import { storeConformance } from "./conformance.ts";
import { etcdHarness } from "./etcd3_harness.ts";

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await EtcdCluster.start();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

const open = () => Promise.resolve(etcdHarness(etcd, `/conformance/${tests++}`));
storeConformance("etcd3", open, { shortTtlMs: 2000 });
