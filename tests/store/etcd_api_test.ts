/** Which of etcd's APIs is chosen, on real etcd; a server from before v3 is a stand-in. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { V2Store } from "../../src/store/etcd/v2/v2_store.ts";
import { V3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { openEtcd } from "../../src/store/etcd/open.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import type { Store } from "../../src/store/store.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { poll } from "../support/process.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { soon } from "./harness.ts";

const CONFIG = '{"Network": "10.3.0.0/16"}';

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

interface Search {
  readonly prefix: string;
  readonly log: string[];
  open(other?: Partial<EtcdStoreFlags>, signal?: AbortSignal): Promise<Store>;
}

function test(name: string, body: (search: Search) => Promise<void>): void {
  etcdTest(`etcd api: ${name}`, async () => {
    const [prefix, log]: [string, string[]] = [`/test/${tests++}`, []];
    const open: Search["open"] = (other, signal = soon()) =>
      openEtcd("auto", flags(etcd.endpoints, { prefix, log: recordingLog(log), ...other }), signal);
    await body({ prefix, log, open });
  });
}

test("v3 where it has a configuration", async ({ prefix, log, open }) => {
  await etcd.ctl("put", `${prefix}/config`, CONFIG);
  await using store = await open();
  assertInstanceOf(store, V3Store);
  assertEquals(log, ["info: using etcd's v3 API: it has a configuration"]);
});

test("v2 where only v2 has one", async ({ prefix, log, open }) => {
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await using store = await open();
  assertInstanceOf(store, V2Store);
  assertEquals(log, ["info: using etcd's v2 API: v3 has no configuration and v2 has one"]);
});

test("v3 where both have one, with a warning", async ({ prefix, log, open }) => {
  await etcd.ctl("put", `${prefix}/config`, CONFIG);
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await using store = await open();
  assertInstanceOf(store, V3Store);
  assertEquals(log.length, 2);
  assertStringIncludes(log[0]!, `v2 API has a configuration at "${prefix}/config" too`);
});

test("where neither has one it is said once and waited for, in either", async ({ prefix, log, open }) => {
  const opening = open();
  await poll("the problem to be told", 10_000, () => log.length > 0);
  assertStringIncludes(
    log[0]!,
    `"${prefix}/config" is absent in v3 and in v2; create it, as in ETCDCTL_API=3`,
  );
  await etcd.ctl2("set", `${prefix}/config`, CONFIG);
  await using store = await opening;
  assertInstanceOf(store, V2Store);
  assertEquals(log.length, 2);
});

test("asking ends with its signal", async ({ log, open }) => {
  const stop = new AbortController();
  const opening = open({}, stop.signal);
  await poll("the problem to be told", 10_000, () => log.length > 0);
  stop.abort(new Error("asked to stop"));
  await assertRejects(() => opening, Error, "asked to stop");
});

etcdTest("etcd api: v3 where the server has no v2", async () => {
  await using other = await EtcdCluster.start();
  const log: string[] = [];
  await using store = await openEtcd("auto", flags(other.endpoints, { log: recordingLog(log) }), soon());
  assertInstanceOf(store, V3Store);
  assertEquals(log, ["info: using etcd's v3 API: the server does not offer v2"]);
});

etcdTest("etcd api: an etcd that is not there yet is waited for, one that refuses us is not", async () => {
  await using other = await EtcdCluster.prepare({ flags: ["--enable-v2"] });
  const log: string[] = [];
  const opening = openEtcd("auto", flags(other.endpoints, { log: recordingLog(log) }), soon());
  await poll("the outage to be told", 10_000, () => log.length > 0);
  assertStringIncludes(log[0]!, "connection refused");
  other.members[0]!.launch();
  await other.ready();
  await other.ctl("put", "/coreos.com/network/config", CONFIG);
  await using store = await opening;
  assertInstanceOf(store, V3Store);
  await other.enableUsers("me", "secret", "/coreos.com/network");
  const refused = () => openEtcd("auto", flags(other.endpoints), soon());
  const failure = await assertRejects(refused, Failure);
  assertStringIncludes(failure.message, "etcd asks for a user and password");
});

etcdTest("etcd api: v2 where the server is from before v3", async () => {
  const node = {
    action: "get",
    node: { key: "/coreos.com/network/config", value: CONFIG, createdIndex: 4, modifiedIndex: 4 },
  };
  const answers: Record<string, unknown> = {
    "/version": { etcdserver: "2.3.8", etcdcluster: "2.3.0" },
    "/health": { health: "true" },
    "/v2/keys/coreos.com/network/config": node,
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const answer = answers[new URL(request.url).pathname];
    return answer === undefined ? new Response("404 page not found", { status: 404 }) : Response.json(answer);
  });
  const log: string[] = [];
  const endpoint = `http://127.0.0.1:${server.addr.port}`;
  await using store = await openEtcd("auto", flags(endpoint, { log: recordingLog(log) }), soon());
  assertInstanceOf(store, V2Store);
  assert(log.at(-1)!.includes("v2 API"), log.join("\n"));
});
