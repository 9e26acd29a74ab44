/** TLS between the store and a real etcd whose certificates carry addresses only, as users' certificates do. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Failure, UsageError } from "../../src/model/errors.ts";
import { openV3Store } from "../../src/store/etcd/v3/v3_store.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import type { ConfigReading } from "../../src/store/store.ts";
import { Authority, type Identity } from "../support/certs.ts";
import { EtcdCluster, fastDirectory } from "../support/etcd.ts";
import { run } from "../support/process.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { claim, isPut, keyOf, ownValue, Reader, soon, watch } from "./harness.ts";

const KEY = "/coreos.com/network/config";
const CONFIG = '{"Network": "10.3.0.0/16"}';

let directory: string;
let ca: Authority;
let stranger: Authority;
let server: Identity;
let client: Identity;
/** Asks nobody for a certificate. */
let open: EtcdCluster;
/** Asks its clients for one. */
let mutual: EtcdCluster;

Deno.test.beforeAll(async () => {
  directory = await fastDirectory();
  ca = await Authority.create(directory);
  stranger = await Authority.create(directory, "stranger-ca");
  server = await ca.sign("server", { ips: ["127.0.0.1"] });
  client = await ca.sign("client", { server: false });
  open = await EtcdCluster.start({ tls: server });
  mutual = await EtcdCluster.start({ tls: server, clientCa: ca.cert, client });
  for (const etcd of [open, mutual]) await etcd.ctl("put", KEY, CONFIG);
});

Deno.test.afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await mutual[Symbol.asyncDispose]();
  await Deno.remove(directory, { recursive: true });
});

function test(name: string, fn: () => Promise<void>): void {
  etcdTest(`etcd3 tls: ${name}`, fn);
}

/** What the first try to read the configuration gives. */
async function firstReading(endpoints: string, other: Partial<EtcdStoreFlags>): Promise<ConfigReading> {
  await using store = await openV3Store(flags(endpoints, other));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  return await readings.until("a reading", () => true);
}

async function refusal(endpoints: string, other: Partial<EtcdStoreFlags>, says: RegExp): Promise<void> {
  const reading = await firstReading(endpoints, other);
  assert(reading.type === "problem", Deno.inspect(reading));
  assertMatch(reading.error, says);
  assertEquals(reading.refused, true);
  await using store = await openV3Store(flags(endpoints, other));
  const failure = await assertRejects(() => store.acquire(claim("192.168.0.1"), soon()), Failure);
  assertMatch(failure.message, says);
}

test("an authority alone is enough where etcd asks for no certificate", async () => {
  assertEquals((await firstReading(open.endpoints, { cafile: ca.cert })).type, "config");
});

test("both sides show certificates, on addresses: acquire, watch, renew", async () => {
  const paths = { cafile: ca.cert, certfile: client.cert, keyfile: client.key };
  await using store = await openV3Store(flags(mutual.endpoints, paths));
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  assert(!("lost" in await store.renew(lease)));
  const text = await mutual.ctl("get", "--print-value-only", `/coreos.com/network/subnets/${keyOf(lease)}`);
  assertEquals(text, `${ownValue("192.168.0.1")}\n`);
});

test("the system's authorities serve where none is given", async () => {
  Deno.env.set("SSL_CERT_FILE", ca.cert);
  try {
    assertEquals((await firstReading(open.endpoints, {})).type, "config");
  } finally {
    Deno.env.delete("SSL_CERT_FILE");
  }
});

test("host and port without a scheme use TLS where TLS files are given", async () => {
  const bare = open.endpoints.replace("https://", "");
  assertEquals((await firstReading(bare, { cafile: ca.cert })).type, "config");
});

test("a server of an unknown authority is refused", async () => {
  const says =
    /^connect to etcd "https:\/\/127\.0\.0\.1:\d+": .*signed by unknown authority; .*-etcd-cafile$/;
  await refusal(open.endpoints, { cafile: stranger.cert }, says);
  await refusal(open.endpoints, {}, says);
});

test("no variable of the environment turns the check of certificates off, or adds an authority", async () => {
  const variables = {
    NODE_TLS_REJECT_UNAUTHORIZED: "0",
    NODE_EXTRA_CA_CERTS: ca.cert,
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: ca.cert,
    DENO_CERT: ca.cert,
  };
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    await refusal(open.endpoints, { cafile: stranger.cert }, /signed by unknown authority/);
    await refusal(open.endpoints, {}, /signed by unknown authority/);
  } finally {
    for (const name of Object.keys(variables)) Deno.env.delete(name);
  }
});

test("a server whose certificate is for another address is refused", async () => {
  await using etcd = await EtcdCluster.start({ tls: await ca.sign("other", { ips: ["127.0.0.2"] }) });
  await refusal(etcd.endpoints, { cafile: ca.cert }, /certificate is not valid for "127\.0\.0\.1"; /);
});

test("a server is known by its name too, and not by another's", async () => {
  await using etcd = await EtcdCluster.start({ tls: await ca.sign("named", { names: ["localhost"] }) });
  const named = etcd.endpoints.replace("127.0.0.1", "localhost");
  await etcd.ctl(`--endpoints=${named}`, "put", KEY, CONFIG);
  assertEquals((await firstReading(named, { cafile: ca.cert })).type, "config");
  await refusal(etcd.endpoints, { cafile: ca.cert }, /not valid for "127\.0\.0\.1"/);
});

test("without the client certificate that etcd asks for, or with a stranger's, we are told so", async () => {
  const says = /client certificate that it trusts; give -etcd-certfile and -etcd-keyfile/;
  await refusal(mutual.endpoints, { cafile: ca.cert }, says);
  const other = await stranger.sign("stranger", { server: false });
  await refusal(mutual.endpoints, { cafile: ca.cert, certfile: other.cert, keyfile: other.key }, says);
});

test("https never becomes http, nor http https", async () => {
  await using plain = await EtcdCluster.start();
  await plain.ctl("put", KEY, CONFIG);
  const asTls = await firstReading(plain.endpoints.replace("http:", "https:"), { cafile: ca.cert });
  assert(asTls.type === "problem");
  assertStringIncludes(asTls.error, "the server does not speak TLS");
  const asPlain = await firstReading(open.endpoints.replace("https:", "http:"), { cafile: ca.cert });
  assert(asPlain.type === "problem");
  assertStringIncludes(asPlain.error, "if etcd uses TLS, write https://");
});

test("a list may mix http and https; each endpoint counts by itself", async () => {
  const nobody = "http://127.0.0.1:1";
  for (const list of [`${nobody}, ${open.endpoints}`, `${open.endpoints} ,${nobody}`]) {
    assertEquals((await firstReading(list, { cafile: ca.cert })).type, "config");
  }
});

test("certificate, chain and key in one file, in any order, with text around, as any editor saves it", async () => {
  const between = await ca.intermediate("between");
  const own = await between.sign("chained", { server: false });
  const [leaf, chain, key] = await Promise.all(
    [own.cert, between.cert, own.key].map((path) => Deno.readTextFile(path)),
  ) as [string, string, string];
  const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  const other = await Deno.readTextFile(client.key);
  const files: Record<string, string> = {
    "leaf first": leaf + chain + key,
    "key first": parameters + key + chain + leaf,
    "another key before ours": other + leaf + key + chain,
    "explained": `Bag Attributes\n  friendlyName: é\n${chain}# ours:\n${leaf}\nand its key\n${key}`,
    "from Windows": `\uFEFF${(leaf + chain + key).replaceAll("\n", "\r\n")}`,
    "indented": (leaf + chain + key).replaceAll(/^/gm, "    "),
  };
  const path = `${directory}/all-in-one.pem`;
  for (const [what, text] of Object.entries(files)) {
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    for (const paths of [{ certfile: path, keyfile: path }, { certfile: path }, { keyfile: path }]) {
      const reading = await firstReading(mutual.endpoints, { cafile: ca.cert, ...paths });
      assertEquals(reading.type, "config", `${what}: ${Deno.inspect(reading)}`);
    }
  }
});

test("a byte order mark, other line ends and a key in the authority's file are passed over", async () => {
  const text = await Deno.readTextFile(ca.cert);
  const cafile = `${directory}/marked-ca.pem`;
  const wide = new Uint8Array(new Uint16Array([0xfeff, ...Array.from(text, (c) => c.charCodeAt(0))]).buffer);
  const forms = [
    new TextEncoder().encode(`\uFEFF${text.replaceAll("\n", "\r\n")}`),
    new TextEncoder().encode(`${await Deno.readTextFile(server.key)}\n${text.replaceAll("\n", "\r")}`),
    wide,
  ];
  for (const bytes of forms) {
    await Deno.writeFile(cafile, bytes);
    assertEquals((await firstReading(open.endpoints, { cafile })).type, "config");
  }
});

test("a renewed client certificate is used without a restart", async () => {
  const [certfile, keyfile] = [`${directory}/rotated.pem`, `${directory}/rotated.key`];
  const install = async ({ cert, key }: Identity) => {
    await Deno.copyFile(cert, certfile);
    await Deno.copyFile(key, keyfile);
  };
  await install(await stranger.sign("rotated-old", { server: false }));
  await using store = await openV3Store(flags(mutual.endpoints, { cafile: ca.cert, certfile, keyfile }));
  await using readings = new Reader((signal) => store.watchConfig(signal));
  await readings.until("a refusal", ({ type }) => type === "problem");
  await install(client);
  await readings.until("the configuration", ({ type }) => type === "config");
});

test("files that become unreadable leave the last good ones in use", async () => {
  await using etcd = await EtcdCluster.start({ tls: server });
  await etcd.ctl("put", KEY, CONFIG);
  const cafile = `${directory}/vanishing.pem`;
  await Deno.copyFile(ca.cert, cafile);
  const lines: string[] = [];
  await using store = await openV3Store(flags(etcd.endpoints, { cafile, log: recordingLog(lines) }));
  await using events = watch(store);
  await events.until("a snapshot", ({ type }) => type === "snapshot");
  await Deno.remove(cafile);
  await etcd.members[0]!.kill();
  await events.until("the outage", ({ type }) => type === "outage");
  etcd.members[0]!.launch();
  await events.until("the end of the outage", ({ type }) => type === "recovered");
  const warnings = lines.filter((line) => line.includes(cafile));
  assertEquals(warnings.length, 1, lines.join("\n"));
  assertMatch(warnings[0]!, /no such file or directory.*stay in use/);
  await Deno.copyFile(ca.cert, cafile);
  const seen = (type: string, wanted: string) =>
    type === wanted ? events.seen.filter((event) => event.type === wanted).length : 0;
  await etcd.members[0]!.kill();
  await events.until("another outage", ({ type }) => seen(type, "outage") === 2);
  etcd.members[0]!.launch();
  await events.until("its end", ({ type }) => seen(type, "recovered") === 2);
  assertEquals(lines.filter((line) => line.includes("can be read again, and are in use")).length, 1);
});

test("files that can't be used are named at once, with flag and path", async () => {
  const path = (name: string) => `${directory}/${name}`;
  await Deno.writeTextFile(path("empty.pem"), "");
  await run(["openssl", "pkey", "-aes256", "-passout=pass:x", "-in", client.key, "-out", path("locked.key")]);
  const [cert, key] = [await Deno.readTextFile(client.cert), await Deno.readTextFile(client.key)];
  await Deno.writeTextFile(path("cut.key"), key.slice(0, 100));
  await Deno.writeTextFile(path("bad.key"), key.replace(/^M.*$/m, "MIGHAgEAMB"));
  await Deno.writeTextFile(path("bad.pem"), cert.replace(/^M.*$/m, "MIGHAgEAMB"));
  const opening = (other: Partial<EtcdStoreFlags>) => () => openV3Store(flags(open.endpoints, other));
  const pair = { certfile: client.cert, keyfile: client.key };
  const cases: [Partial<EtcdStoreFlags>, string][] = [
    [{ cafile: path("absent") }, `read -etcd-cafile "${path("absent")}": no such file or directory`],
    [{ cafile: path("empty.pem") }, `read -etcd-cafile "${path("empty.pem")}": no certificate in it`],
    [{ cafile: client.key }, `read -etcd-cafile "${client.key}": no certificate in it`],
    [{ ...pair, certfile: path("absent") }, `read -etcd-certfile "${path("absent")}": no such file`],
    [{ ...pair, certfile: client.key }, `read -etcd-certfile "${client.key}": no certificate in it`],
    [{ ...pair, keyfile: directory }, `read -etcd-keyfile "${directory}": is a directory`],
    [{ ...pair, keyfile: client.cert }, `read -etcd-keyfile "${client.cert}": no private key in it`],
    [{ ...pair, keyfile: server.key }, `use -etcd-keyfile "${server.key}": it does not belong to`],
    [
      { ...pair, keyfile: path("locked.key") },
      `"${path("locked.key")}": the key is encrypted; store it without`,
    ],
    [{ ...pair, keyfile: path("cut.key") }, `"${path("cut.key")}": no private key in it`],
    [{ ...pair, keyfile: path("bad.key") }, `"${path("bad.key")}": the private key in it is damaged`],
    [{ ...pair, certfile: path("bad.pem") }, `"${path("bad.pem")}": a certificate in it is damaged`],
  ];
  for (const [other, says] of cases) {
    const failure = await assertRejects(opening(other), Failure);
    assertStringIncludes(failure.message, says);
    assert(!failure.message.includes("PRIVATE KEY"));
  }
  for (const half of [{ certfile: client.cert }, { keyfile: client.key }]) {
    const error = await assertRejects(opening(half), UsageError);
    assertStringIncludes(error.message, "is missing; give both, or neither");
  }
});

test("a key that everybody can read is worth a line", async () => {
  const keyfile = `${directory}/loose.key`;
  await Deno.copyFile(client.key, keyfile);
  const lines: string[] = [];
  const opened = async (mode: number) => {
    await Deno.chmod(keyfile, mode);
    const paths = { certfile: client.cert, keyfile, log: recordingLog(lines) };
    await (await openV3Store(flags(open.endpoints, paths)))[Symbol.asyncDispose]();
  };
  await opened(0o640);
  assertEquals(lines, []);
  await opened(0o644);
  assertEquals(lines.length, 1);
  assertStringIncludes(lines[0]!, `"${keyfile}" can be read by everybody on this host (mode 644)`);
});
