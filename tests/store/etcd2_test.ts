/** What the etcd store does in the v2 API beyond what every store does: bytes, users, directories, an etcd without that API. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { openV2Store } from "../../src/store/etcd/v2/v2_store.ts";
import { connectV2 } from "../../src/store/etcd/v2/client.ts";
import { connectOptions, type EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import { type ConfigReading, isLost } from "../../src/store/store.ts";
import { EtcdCluster, fastDirectory, freePorts } from "../support/etcd.ts";
import { raw2, startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import {
  claim,
  isPut,
  isUnreadable,
  keyOf,
  oldOwnValue,
  oldValue,
  ours,
  Reader,
  soon,
  subnets,
  value,
  watch,
} from "./harness.ts";

const A = "192.168.0.1";
const B = "192.168.0.2";
const PREFIX = "/coreos.com/network";
const CONFIG = '{"Network": "10.3.0.0/16"}';

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

/** A test with a prefix of its own. */
function test(name: string, body: (prefix: string) => Promise<void>): void {
  etcdTest(`etcd2: ${name}`, () => body(`/test/${tests++}`));
}

test("key and value are v0.11's, byte for byte, with our mark at the end; a slash too many or too few does not matter", async (prefix) => {
  await using store = openV2Store(flags(etcd.endpoints, { prefix: `${prefix.slice(1)}//` }));
  await store.acquire(claim(A, undefined, subnets("10.3.7.0-24")), soon());
  assertEquals(await etcd.ctl2("ls", "--recursive", `${prefix}/subnets`), `${prefix}/subnets/10.3.7.0-24\n`);
  assertEquals(await etcd.ctl2("get", `${prefix}/subnets/10.3.7.0-24`), `${oldOwnValue(A)}\n`);
  assert(oldOwnValue(A).startsWith(oldValue(A).slice(0, -1)));
});

test("the v3 API is another space of keys", async (prefix) => {
  await etcd.ctl("put", `${prefix}/config`, CONFIG);
  await using store = openV2Store(flags(etcd.endpoints, { prefix }));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  const reading = await readings.until("the problem", () => true);
  assert(reading.type === "problem" && !reading.refused);
  const [, key, text] = /etcdctl set (\S+) '(.*)'$/.exec(reading.error)!;
  await etcd.ctl2("set", key!, text!);
  await readings.until("the configuration", ({ type }) => type === "config");
});

test("what can't be read is skipped, protects its subnet and holds nothing up", async (prefix) => {
  const raw = raw2(etcd, prefix);
  await raw.put("10.3.7.0-24", value(B), 600_000);
  await using store = openV2Store(flags(etcd.endpoints, { prefix }));
  await using events = watch(store);
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  await raw.put("10.3.7.0-24", "{", 600_000);
  await raw.put("zzz", value(B), 600_000);
  await etcd.ctl2("mkdir", `${prefix}/subnets/10.3.8.0-24`);
  await raw.put("10.3.9.0-24", value(B), 600_000);
  await events.until("the good record after them", isPut("10.3.9.0-24"));
  const broken = await events.until("the broken value", isUnreadable("10.3.7.0-24"));
  assert(broken.type === "unreadable" && broken.unreadable.subnets !== null);
  const directory = await events.until("the directory", isUnreadable("10.3.8.0-24"));
  assert(directory.type === "unreadable" && directory.unreadable.subnets !== null);
  assertEquals(directory.unreadable.reason, "the key is a directory");
  for (const wanted of ["10.3.7.0-24", "10.3.8.0-24"]) {
    const host = openV2Store(flags(etcd.endpoints, { prefix }));
    const lease = await host.acquire(claim(`192.168.9.${wanted[5]}`, undefined, subnets(wanted)), soon());
    assert(keyOf(lease) !== wanted);
    await host[Symbol.asyncDispose]();
  }
  assertEquals(await raw.get("10.3.7.0-24"), "{");
});

test("a directory that goes takes its records along: all is read again", async (prefix) => {
  const raw = raw2(etcd, prefix);
  await raw.put("10.3.7.0-24", value(B));
  await using store = openV2Store(flags(etcd.endpoints, { prefix }));
  await using events = watch(store);
  const first = await events.until("a snapshot", ({ type }) => type === "snapshot");
  await etcd.ctl2("rm", "--recursive", prefix);
  const again = await events.until("another", (event) => event.type === "snapshot" && event !== first);
  assert(again.type === "snapshot");
  assertEquals(again.leases, []);
  await raw.put("10.3.8.0-24", value(B));
  await events.until("a live change", isPut("10.3.8.0-24"));
});

test("a reservation of an operator, made in upstream's way, becomes one and stays one", async (prefix) => {
  const raw = raw2(etcd, prefix);
  await using store = openV2Store(flags(etcd.endpoints, { prefix }));
  const lease = await store.acquire(claim(A), soon());
  const key = `${prefix}/subnets/${keyOf(lease)}`;
  await etcd.ctl2("set", "--ttl", "0", key, (await raw.get(keyOf(lease)))!);
  // Whoever wrote it, it was not us: the next look is at what stands.
  assertEquals(await store.renew(lease), { lost: "taken", by: lease.record });
  const { found, asWritten } = await store.look(lease);
  assert(!asWritten && found !== null && "record" in found && found.expires === null);
  const published = await store.publish(found, ours(A, "02:00:00:00:00:99"));
  assert(!isLost(published) && published.expires === null);
  const renewed = await store.renew(published);
  assert(!isLost(renewed) && renewed.expires === null);
  assertEquals(await raw.ttl(keyOf(lease)), null);
});

test("etcd writes and deletes on the condition of the index and of the value", async (prefix) => {
  const key = `${prefix}/subnets/10.3.7.0-24`;
  const remote = connectV2(connectOptions(flags(etcd.endpoints)));
  try {
    const odd = `${value(A)} & ü;=%?"+`;
    await etcd.ctl2("set", key, odd);
    const expect = (await remote.range({ key, end: null })).kvs[0]!.modRevision;
    for (const put of [{ value: "new", ttl: null }, null]) {
      for (const wrong of [value(A), `${odd} `]) {
        const refused = await remote.write({ key, expect, expectValue: wrong, put });
        assert(!refused.succeeded && refused.current?.value === odd, Deno.inspect(refused));
      }
    }
    assert(!(await remote.write({ key, expect: expect - 1, expectValue: odd, put: null })).succeeded);
    const put = { value: "new", ttl: null };
    assert((await remote.write({ key, expect, expectValue: odd, put })).succeeded);
    assertEquals(await etcd.ctl2("get", key), "new\n");
  } finally {
    await remote.close();
  }
});

etcdTest("etcd2: an etcd without the v2 API says so", async () => {
  await using other = await EtcdCluster.start();
  await using store = openV2Store(flags(other.endpoints));
  const failure = await assertRejects(() => store.acquire(claim(A), soon()), Failure);
  assertMatch(
    failure.message,
    /^read ".*" in etcd: the server does not offer etcd's v2 API; start etcd .*--enable-v2/,
  );
});

etcdTest(
  "etcd2: a socket of the file system, and an IPv6 address; a proxy in the environment is not for etcd",
  async () => {
    const directory = await fastDirectory();
    const [port] = freePorts(1);
    // etcd makes its sockets in its working directory.
    const places = `--listen-client-urls=unix://etcd:1,http://[::1]:${port}`;
    await using other = await startEtcd2({
      members: [{ ip: "[::1]", ports: [port!, freePorts(1)[0]!], enter: ["env", "-C", directory] }],
      flags: [places],
    });
    const names = ["http_proxy", "HTTP_PROXY", "all_proxy"];
    for (const name of names) Deno.env.set(name, "http://127.0.0.1:9");
    for (const endpoints of [`unix://${directory}/etcd:1`, other.endpoints]) {
      await using store = openV2Store(flags(endpoints));
      assertEquals((await store.list()).leases, []);
    }
    for (const name of names) Deno.env.delete(name);
    await Deno.remove(directory, { recursive: true });
  },
);

const NAME = "overlay-host";
const PASSWORD = "correct horse, battery: stäple";
const ROOT = "--username=root:r00t";

async function withUsers(): Promise<EtcdCluster> {
  const cluster = await startEtcd2();
  await cluster.ctl2("set", `${PREFIX}/config`, CONFIG);
  await cluster.ctl2("user", "add", "root:r00t");
  await cluster.ctl2("role", "add", "overlay");
  await cluster.ctl2("role", "grant", "overlay", "--readwrite", `--path=${PREFIX}/*`);
  await cluster.ctl2("user", "add", `${NAME}:${PASSWORD}`);
  await cluster.ctl2("user", "grant", NAME, "--roles=overlay");
  await cluster.ctl2("auth", "enable");
  await cluster.ctl2(ROOT, "role", "revoke", "guest", "--path=/*", "--readwrite");
  return cluster;
}

async function refusal(cluster: EtcdCluster, other: Partial<EtcdStoreFlags>, says: RegExp): Promise<void> {
  const lines: string[] = [];
  await using store = openV2Store(flags(cluster.endpoints, { ...other, log: recordingLog(lines) }));
  await using readings = new Reader<ConfigReading>((signal) => store.watchConfig(signal));
  const reading = await readings.until("a reading", () => true);
  assert(reading.type === "problem" && reading.refused === true, Deno.inspect(reading));
  assertMatch(reading.error, says);
  const failure = await assertRejects(() => store.acquire(claim(A), soon()), Failure);
  assertMatch(failure.message, says);
  for (const text of [reading.error, failure.message, ...lines]) assert(!text.includes(PASSWORD), text);
}

etcdTest("etcd2 users: the right password works; a wrong one and none are told apart", async () => {
  await using cluster = await withUsers();
  const known = { username: NAME, password: PASSWORD };
  await using store = openV2Store(flags(cluster.endpoints, known));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await readings.until("the configuration", ({ type }) => type === "config");
  await using events = watch(store);
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  const lease = await store.acquire(claim(A), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  assert(!isLost(await store.renew(lease)));
  const wrong =
    /^authenticate to etcd as "overlay-host": user or password wrong, or .*; correct -etcd-username/;
  await refusal(cluster, { ...known, password: "wrong" }, wrong);
  await refusal(cluster, { ...known, prefix: "/other" }, wrong);
  await refusal(
    cluster,
    {},
    /"\/coreos\.com\/network\/.*etcd asks for a user and password; give -etcd-username/,
  );
});

etcdTest("etcd2 users: a password that etcd does not ask for does no harm", async () => {
  await using store = openV2Store(flags(etcd.endpoints, { username: NAME, password: PASSWORD }));
  assertStringIncludes(store.name, "Etcd Local Manager");
  await store.list();
});
