/** Users and passwords of etcd: right, wrong, missing, not asked for, and a restart that forgets every token. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { openV3Store } from "../../src/store/etcd/v3/v3_store.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import { type ConfigReading, isLost } from "../../src/store/store.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { pause } from "../support/process.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { claim, isDelete, isPut, keyOf, Reader, record, soon, watch } from "./harness.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network": "10.3.0.0/16"}';
const NAME = "overlay-host";
const PASSWORD = "correct horse, battery: staple";
const ROOT = "--user=root:r00t";

function test(name: string, body: (etcd: EtcdCluster) => Promise<void>): void {
  etcdTest(`etcd3 users: ${name}`, async () => {
    await using etcd = await EtcdCluster.start();
    await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
    await etcd.enableUsers(NAME, PASSWORD, PREFIX);
    await body(etcd);
  });
}

const known = { username: NAME, password: PASSWORD };

async function refusal(etcd: EtcdCluster, other: Partial<EtcdStoreFlags>, says: RegExp): Promise<void> {
  const lines: string[] = [];
  await using store = await openV3Store(flags(etcd.endpoints, { ...other, log: recordingLog(lines) }));
  await using readings = new Reader<ConfigReading>((signal) => store.watchConfig(signal));
  const reading = await readings.until("a reading", () => true);
  assert(reading.type === "problem" && reading.refused === true, Deno.inspect(reading));
  assertMatch(reading.error, says);
  const failure = await assertRejects(() => store.acquire(claim("192.168.0.1"), soon()), Failure);
  assertMatch(failure.message, says);
  for (const text of [reading.error, failure.message, ...lines]) assert(!text.includes(PASSWORD), text);
}

test("the right password, through a restart that forgets every token", async (etcd) => {
  await using store = await openV3Store(flags(etcd.endpoints, known));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await readings.until("the configuration", ({ type }) => type === "config");
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  await etcd.members[0]!.kill();
  await events.until("the outage", ({ type }) => type === "outage");
  etcd.members[0]!.launch();
  await etcd.ready();
  const renewed = await store.renew(lease);
  assert(!isLost(renewed));
  const published = await store.publish(renewed, record("192.168.0.1", "02:00:00:00:00:99"));
  assert(!isLost(published));
  await events.until("our new record", isPut(keyOf(lease), ":99"));
  await store.release(published);
  await events.until("its end", isDelete(keyOf(lease)));
  await etcd.ctl(ROOT, "put", `${PREFIX}/config`, '{"Network": "10.4.0.0/16"}');
  await readings.until("the new configuration", (r) => r.type === "config" && r.text.includes("10.4"));
});

test("tokens that etcd forgets under an open connection are replaced", async (etcd) => {
  await using store = await openV3Store(flags(etcd.endpoints, known));
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  await etcd.ctl(ROOT, "auth", "disable");
  await etcd.ctl("auth", "enable");
  for (let i = 0; i < 3; i++) assert(!isLost(await store.renew(lease)));
  await etcd.ctl(ROOT, "del", `${PREFIX}/subnets/${keyOf(lease)}`);
  await events.until("its end", isDelete(keyOf(lease)));
});

etcdTest("etcd3 users: a token that has run out is replaced at once", async () => {
  await using etcd = await EtcdCluster.start({ flags: ["--auth-token-ttl=1", "--bcrypt-cost=4"] });
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  await etcd.enableUsers(NAME, PASSWORD, PREFIX);
  await using store = await openV3Store(flags(etcd.endpoints, known));
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  // Time is what is tested: a token ends up to a second after its time to live.
  await pause(3_000);
  const start = performance.now();
  assert(!isLost(await store.renew(lease)));
  const ms = performance.now() - start;
  assert(ms < 2_000, `renewing took ${ms} ms`);
});

test("a wrong password, a missing one and a missing permission are told apart", async (etcd) => {
  const wrong =
    /^authenticate to etcd as "overlay-host": user or password wrong; correct -etcd-username and -etcd-/;
  await refusal(etcd, { username: NAME, password: "wrong" }, wrong);
  await refusal(
    etcd,
    {},
    /"\/coreos\.com\/network\/.*etcd asks for a user and password; give -etcd-username and/,
  );
  await refusal(
    etcd,
    { ...known, prefix: "/other" },
    /"\/other\/.*" in etcd: permission denied; give the etcd user a/,
  );
});

etcdTest("etcd3 users: a password that etcd does not ask for yet does no harm", async () => {
  await using etcd = await EtcdCluster.start();
  await using store = await openV3Store(flags(etcd.endpoints, known));
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  await etcd.enableUsers(NAME, PASSWORD, PREFIX);
  assert(!isLost(await store.renew(lease)));
  await etcd.ctl(ROOT, "del", `${PREFIX}/subnets/${keyOf(lease)}`);
  await events.until("its end", isDelete(keyOf(lease)));
  assertEquals(events.seen.filter(({ type }) => type === "snapshot").length, 1);
});
