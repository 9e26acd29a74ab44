/** TLS between the store and a real etcd's v2 API, with certificates that carry addresses only. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { openV2Store } from "../../src/store/etcd/v2/v2_store.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import type { ConfigReading } from "../../src/store/store.ts";
import { Authority, type Identity } from "../support/certs.ts";
import { type EtcdCluster, fastDirectory } from "../support/etcd.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags } from "./etcd3_harness.ts";
import { claim, isPut, keyOf, oldOwnValue, Reader, soon, watch } from "./harness.ts";

const KEY = "/coreos.com/network/config";
const CONFIG = '{"Network": "10.3.0.0/16"}';

let directory: string;
let ca: Authority;
let stranger: Authority;
let client: Identity;
/** Asks nobody for a certificate. */
let open: EtcdCluster;
/** Asks its clients for one. */
let mutual: EtcdCluster;

Deno.test.beforeAll(async () => {
  directory = await fastDirectory();
  ca = await Authority.create(directory);
  stranger = await Authority.create(directory, "stranger-ca");
  const server = await ca.sign("server", { ips: ["127.0.0.1"] });
  client = await ca.sign("client", { server: false });
  open = await startEtcd2({ tls: server });
  mutual = await startEtcd2({ tls: server, clientCa: ca.cert, client });
  for (const etcd of [open, mutual]) await etcd.ctl2("set", KEY, CONFIG);
});

Deno.test.afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await mutual[Symbol.asyncDispose]();
  await Deno.remove(directory, { recursive: true });
});

function test(name: string, fn: () => Promise<void>): void {
  etcdTest(`etcd2 tls: ${name}`, fn);
}

/** What the first try to read the configuration gives. */
async function firstReading(endpoints: string, other: Partial<EtcdStoreFlags>): Promise<ConfigReading> {
  await using store = openV2Store(flags(endpoints, other));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  return await readings.until("a reading", () => true);
}

async function refusal(endpoints: string, other: Partial<EtcdStoreFlags>, says: RegExp): Promise<void> {
  const reading = await firstReading(endpoints, other);
  assert(reading.type === "problem", Deno.inspect(reading));
  assertMatch(reading.error, says);
  assertEquals(reading.refused, true);
  await using store = openV2Store(flags(endpoints, other));
  const failure = await assertRejects(() => store.acquire(claim("192.168.0.1"), soon()), Failure);
  assertMatch(failure.message, says);
}

test("an authority alone is enough where etcd asks for no certificate, with and without a scheme", async () => {
  assertEquals((await firstReading(open.endpoints, { cafile: ca.cert })).type, "config");
  const bare = open.endpoints.replace("https://", "");
  assertEquals((await firstReading(bare, { cafile: ca.cert })).type, "config");
});

test("both sides show certificates, on addresses: acquire, watch, renew", async () => {
  const paths = { cafile: ca.cert, certfile: client.cert, keyfile: client.key };
  await using store = openV2Store(flags(mutual.endpoints, paths));
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  assert(!("lost" in await store.renew(lease)));
  const text = await mutual.ctl2("get", `/coreos.com/network/subnets/${keyOf(lease)}`);
  assertEquals(text, `${oldOwnValue("192.168.0.1")}\n`);
});

test("a server of an unknown authority is refused", async () => {
  const says =
    /^connect to etcd "https:\/\/127\.0\.0\.1:\d+": .*signed by unknown authority; .*-etcd-cafile$/;
  await refusal(open.endpoints, { cafile: stranger.cert }, says);
  await refusal(open.endpoints, {}, says);
});

test("a server is known by its addresses and names, and not by others", async () => {
  await using elsewhere = await startEtcd2({ tls: await ca.sign("other", { ips: ["127.0.0.2"] }) });
  await refusal(elsewhere.endpoints, { cafile: ca.cert }, /certificate is not valid for "127\.0\.0\.1"; /);
  await using etcd = await startEtcd2({ tls: await ca.sign("named", { names: ["localhost"] }) });
  const named = etcd.endpoints.replace("127.0.0.1", "localhost");
  const reading = await firstReading(named, { cafile: ca.cert });
  assert(
    reading.type === "problem" && reading.error.startsWith("flannel config not found"),
    Deno.inspect(reading),
  );
  await refusal(etcd.endpoints, { cafile: ca.cert }, /not valid for "127\.0\.0\.1"/);
});

test("without the client certificate that etcd asks for, or with a stranger's, we are told so", async () => {
  const says = /client certificate that it trusts; give -etcd-certfile and -etcd-keyfile/;
  await refusal(mutual.endpoints, { cafile: ca.cert }, says);
  const other = await stranger.sign("stranger", { server: false });
  await refusal(mutual.endpoints, { cafile: ca.cert, certfile: other.cert, keyfile: other.key }, says);
});

test("https never becomes http, nor http https", async () => {
  await using plain = await startEtcd2();
  await plain.ctl2("set", KEY, CONFIG);
  const asTls = await firstReading(plain.endpoints.replace("http:", "https:"), { cafile: ca.cert });
  assert(asTls.type === "problem");
  assertStringIncludes(asTls.error, "the server does not speak TLS");
  const asPlain = await firstReading(open.endpoints.replace("https:", "http:"), { cafile: ca.cert });
  assert(asPlain.type === "problem");
  assertStringIncludes(asPlain.error, "if etcd uses TLS, write https://");
});
