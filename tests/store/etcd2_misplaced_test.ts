/** What users get wrong about where things stand in etcd's v2 API: every refusal is a sentence with a way out. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { openV2Store, v2ConfigPlace } from "../../src/store/etcd/v2/v2_store.ts";
import { connectV2 } from "../../src/store/etcd/v2/client.ts";
import { openEtcd } from "../../src/store/etcd/open.ts";
import { connectOptions } from "../../src/store/etcd/etcd_store.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { poll } from "../support/process.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { claim, Reader, record, soon, subnets } from "./harness.ts";

const CONFIG = '{"Network": "10.3.0.0/16"}';

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

function test(name: string, body: (top: string) => Promise<void>): void {
  etcdTest(`etcd2 misplaced: ${name}`, () => body(`/misplaced/${tests++}`));
}

async function refusal(prefix: string, says: RegExp): Promise<void> {
  await using store = openV2Store(flags(etcd.endpoints, { prefix }));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const reading = await readings.until("a reading", () => true);
  assert(reading.type === "problem" && reading.refused === true, Deno.inspect(reading));
  assertMatch(reading.error, says);
  const place = v2ConfigPlace(connectV2(connectOptions(flags(etcd.endpoints))), prefix);
  for (
    const call of [
      () => store.acquire(claim("192.168.0.1"), soon()),
      () => store.list(),
      () => place.read(),
      () => place.write(CONFIG, null),
    ]
  ) assertMatch((await assertRejects(call, Failure)).message, says);
  await place[Symbol.asyncDispose]();
}

test("a prefix that names the configuration's own key", async (top) => {
  await etcd.ctl2("set", `${top}/config`, CONFIG);
  await refusal(
    `${top}/config`,
    /^(read|write) "\S+\/config\/\S+" in etcd: "\S+\d\/config" holds a value, so that no keys .*; correct -etcd-prefix, /,
  );
});

test("a configuration that was set at the prefix itself", async (top) => {
  await etcd.ctl2("set", top, CONFIG);
  await refusal(
    top,
    /: "\/misplaced\/\d+" holds a value, so .*belongs in the key "config" below -etcd-prefix$/,
  );
  // "auto" goes on waiting: v3 may get one.
  const log: string[] = [];
  const stop = new AbortController();
  const opening = openEtcd(
    "auto",
    flags(etcd.endpoints, { prefix: top, log: recordingLog(log) }),
    stop.signal,
  );
  await poll("the problem to be told", 10_000, () => log.length > 0);
  assertMatch(log[0]!, /v3 has none, and v2 can't be read: read .*holds a value/);
  stop.abort(new Error("asked to stop"));
  await assertRejects(() => opening, Error, "asked to stop");
});

test("a directory where the configuration should be", async (top) => {
  await etcd.ctl2("mkdir", `${top}/config`);
  await using store = openV2Store(flags(etcd.endpoints, { prefix: top }));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const reading = await readings.until("a reading", () => true);
  assert(reading.type === "problem");
  assertMatch(reading.error, /^read "\S+\/config" in etcd: it is a directory; remove it/);
  const place = v2ConfigPlace(connectV2(connectOptions(flags(etcd.endpoints))), top);
  assertMatch((await assertRejects(() => place.read(), Failure)).message, /it is a directory; remove it/);
  const over = { text: "", version: "1" };
  assertMatch(
    (await assertRejects(() => place.write(CONFIG, over), Failure)).message,
    /^write "\S+\/config" in etcd: "\S+\/config" is a directory and holds no value; remove it/,
  );
  await place[Symbol.asyncDispose]();
  await etcd.ctl2("rm", "--recursive", `${top}/config`);
  await etcd.ctl2("set", `${top}/config`, CONFIG);
  await readings.until("the configuration", ({ type }) => type === "config");
});

test("a directory where our own record should be: no other's is overwritten, and it is told", async (top) => {
  await using store = openV2Store(flags(etcd.endpoints, { prefix: top }));
  const lease = await store.acquire(claim("192.168.0.1", undefined, subnets("10.3.7.0-24")), soon());
  const key = `${top}/subnets/10.3.7.0-24`;
  await etcd.ctl2("rm", key);
  await etcd.ctl2("mkdir", key);
  assertEquals(await store.renew(lease), { lost: "taken" });
  assertEquals(await store.publish(lease, record("192.168.0.1", "02:00:00:00:00:99")), { lost: "taken" });
  const { found, asWritten } = await store.look(lease);
  assert(!asWritten && found !== null && "reason" in found);
  assertEquals(found.reason, "the key is a directory");
  assertEquals(await store.create(lease.subnets, record("192.168.0.1")), null);
});
