/** etcd behind what speaks HTTP/1.1 alone: its own v2 proxy, load balancers with and without TLS. Only the v2 API is there. */
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Failure } from "../../src/model/errors.ts";
import { V2Store } from "../../src/store/etcd/v2/v2_store.ts";
import { openV3Store } from "../../src/store/etcd/v3/v3_store.ts";
import { openConfigPlace, openEtcd } from "../../src/store/etcd/open.ts";
import { Authority, type Identity } from "../support/certs.ts";
import { type EtcdCluster, fastDirectory, freePorts } from "../support/etcd.ts";
import { poll, Process } from "../support/process.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags, recordingLog } from "./etcd3_harness.ts";
import { claim, isPut, keyOf, Reader, soon, watch } from "./harness.ts";

const CONFIG = '{"Network": "10.3.0.0/16"}';
const SAYS =
  /^connect to etcd ".*": the server speaks HTTP\/1\.1 alone, .* needs HTTP\/2; name etcd's own port/;

let etcd: EtcdCluster;
let tests = 0;

Deno.test.beforeAll(async () => {
  etcd = await startEtcd2();
});
Deno.test.afterAll(() => etcd[Symbol.asyncDispose]());

/** A load balancer that takes HTTP/1.1 requests and hands them on to etcd. */
class Balancer implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(tls?: Identity): Promise<Balancer> {
    // Connections that are kept have timers that outlive the test.
    const agent = new Agent({ keepAlive: false });
    const pass = (from: IncomingMessage, answer: ServerResponse) => {
      const { method, url, headers } = from;
      const onward = request(etcd.endpoints + url, { method: method!, headers, agent }, (reply) => {
        answer.writeHead(reply.statusCode!, reply.headers);
        answer.flushHeaders();
        reply.pipe(answer);
      });
      onward.on("error", () => answer.destroy());
      answer.on("close", () => onward.destroy());
      from.pipe(onward);
    };
    const server = tls === undefined ? createServer(pass) : createTlsServer({
      cert: await Deno.readTextFile(tls.cert),
      key: await Deno.readTextFile(tls.key),
      ALPNProtocols: ["http/1.1"],
    }, pass);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Balancer(server as Server);
  }

  get place(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

/** "auto" takes v2 there and works with it; v3 by name, and the commands, say what is wrong. */
async function check(endpoints: string, cafile = ""): Promise<void> {
  const prefix = `/http1/${tests++}`;
  const log: string[] = [];
  const given = flags(endpoints, { prefix, cafile, log: recordingLog(log) });
  const opening = openEtcd("auto", given, soon());
  const absent = /"\S+" is absent in v2, and the server does not offer v3; create it, as in ETCDCTL_API=2/;
  await poll("the problem to be told", 15_000, () => log.some((line) => absent.test(line)));
  const place = await openConfigPlace("auto", given);
  assert(await place.write(CONFIG, await place.read()));
  await place[Symbol.asyncDispose]();
  assertEquals(await etcd.ctl2("get", `${prefix}/config`), `${CONFIG}\n`);
  await using store = await opening;
  assertInstanceOf(store, V2Store);
  assertEquals(log.at(-1), "info: using etcd's v2 API: the server does not offer v3 and v2 has one");
  await using events = watch(store);
  const lease = await store.acquire(claim("192.168.0.1"), soon());
  await events.until("our lease", isPut(keyOf(lease)));
  await using newer = await openV3Store(given);
  await using readings = new Reader((signal) => newer.watchConfig(signal));
  // A greeting that is not answered in time says nothing: it is tried again.
  const reading = await readings.until("a refusal", (r) => r.type === "problem" && r.refused === true);
  assert(reading.type === "problem");
  assertMatch(reading.error, SAYS);
  assertMatch((await assertRejects(() => newer.list(), Failure)).message, SAYS);
}

etcdTest("etcd http1: etcd's own proxy for the v2 API", async () => {
  const [client] = freePorts(1);
  const directory = await fastDirectory();
  const member = etcd.members[0]!;
  await using proxy = new Process("proxy", [
    "etcd",
    "--proxy=on",
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--initial-cluster=${member.name}=${member.peerUrl}`,
    `--data-dir=${directory}/proxy`,
  ]);
  const url = `http://127.0.0.1:${client}`;
  await poll("the proxy", 10_000, () => {
    assert(proxy.running, proxy.tail());
    return fetch(`${url}/version`).then((answer) => answer.text(), () => "").then((text) => text !== "");
  });
  await check(url);
  await Deno.remove(directory, { recursive: true });
});

etcdTest("etcd http1: a load balancer", async () => {
  await using balancer = await Balancer.start();
  await check(`http://${balancer.place}`);
});

etcdTest("etcd http1: a load balancer with TLS, which agrees on HTTP/1.1 in the handshake", async () => {
  const directory = await fastDirectory();
  const ca = await Authority.create(directory);
  await using balancer = await Balancer.start(await ca.sign("balancer", { ips: ["127.0.0.1"] }));
  await check(`https://${balancer.place}`, ca.cert);
  await Deno.remove(directory, { recursive: true });
});

etcdTest(
  "etcd http1: beside an endpoint where nobody listens v2 is found, and v3 by name is waited for",
  async () => {
    await using balancer = await Balancer.start();
    const endpoints = `http://127.0.0.1:1,http://${balancer.place}`;
    const prefix = `/http1/${tests++}`;
    await etcd.ctl2("set", `${prefix}/config`, CONFIG);
    await using store = await openEtcd("auto", flags(endpoints, { prefix }), soon());
    assertInstanceOf(store, V2Store);
    await using newer = await openV3Store(flags(endpoints, { prefix }));
    await using readings = new Reader((signal) => newer.watchConfig(signal));
    const reading = await readings.until("a reading", () => true);
    assert(reading.type === "problem" && !reading.refused, Deno.inspect(reading));
    assertMatch(reading.error, /connection refused, .*: the server speaks HTTP\/1\.1 alone/);
  },
);
