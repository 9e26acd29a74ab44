/**
 * Certificates that have really ended, or are really not valid yet: the server's and our own, in both of etcd's APIs. It is said
 * since when, and what the clock says; and because the clock may be to blame, it is tried until it works.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { TlsFiles } from "../../src/store/etcd/tls.ts";
import { type EtcdApi, openEtcd } from "../../src/store/etcd/open.ts";
import { parseEndpoints } from "../../src/store/etcd/endpoints.ts";
import type { EtcdStoreFlags } from "../../src/store/etcd/etcd_store.ts";
import type { ConfigReading } from "../../src/store/store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { Authority, type Identity } from "../support/certs.ts";
import { type EtcdCluster, fastDirectory } from "../support/etcd.ts";
import { startEtcd2 } from "./etcd2_harness.ts";
import { etcdTest, flags } from "./etcd3_harness.ts";
import { Reader, soon } from "./harness.ts";

const KEY = "/coreos.com/network/config";
const CONFIG = '{"Network": "10.3.0.0/16"}';
const TIME = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC";

let directory: string;
let ca: Authority;
let good: Identity;

Deno.test.beforeAll(async () => {
  directory = await fastDirectory();
  ca = await Authority.create(directory);
  good = await ca.sign("good", { ips: ["127.0.0.1"] });
});
Deno.test.afterAll(() => Deno.remove(directory, { recursive: true }));

/** When each is wrong, as days from now, and what is said of it. */
const wrong = {
  expired: {
    days: [-30, -3],
    says:
      `has expired: it was valid until ${TIME}, and this host's clock says ${TIME}; renew it, or set this host's clock`,
  },
  "not valid yet": {
    days: [3, 30],
    says: `is not valid before ${TIME}, and this host's clock says ${TIME}; set this host's clock`,
  },
} as const;

/** A copy that can be replaced while it is in use: certificate and key in one file, so that nobody reads half of a pair. */
async function copy(name: string, from: Identity): Promise<Identity> {
  const path = `${directory}/${name}-used.pem`;
  await install({ cert: path }, from);
  return { ca: ca.cert, cert: path, key: path };
}

async function install(to: Pick<Identity, "cert">, from: Pick<Identity, "cert" | "key">): Promise<void> {
  const parts = [from.cert, from.key].map((path) => Deno.readTextFile(path));
  await Deno.writeTextFile(`${to.cert}.new`, (await Promise.all(parts)).join("\n"));
  await Deno.rename(`${to.cert}.new`, to.cert);
}

async function configured(etcd: EtcdCluster): Promise<EtcdCluster> {
  await etcd.ctl("put", KEY, CONFIG);
  await etcd.ctl2("set", KEY, CONFIG);
  return etcd;
}

/** The first reading says it; nobody is sent away, and after the cure the configuration comes. */
async function toldThenCured(
  api: EtcdApi,
  given: EtcdStoreFlags,
  says: RegExp,
  cure: () => Promise<void>,
): Promise<void> {
  await using store = await openEtcd(api, given, soon());
  await using readings = new Reader<ConfigReading>((signal) => store.watchConfig(signal));
  const reading = await readings.until("a reading", () => true);
  assert(reading.type === "problem" && !reading.refused, Deno.inspect(reading));
  assertMatch(reading.error, says);
  await cure();
  await readings.until("the configuration", ({ type }) => type === "config");
  assertEquals(readings.seen.map(({ type }) => type), ["problem", "config"], Deno.inspect(readings.seen));
}

for (const api of ["v3", "v2"] as const) {
  for (const [what, { days, says }] of Object.entries(wrong)) {
    etcdTest(`etcd dates: ${api}: the server's certificate is ${what}`, async () => {
      const name = `server-${api}-${what.replaceAll(" ", "-")}`;
      const used = await copy(name, good);
      await using etcd = await configured(await startEtcd2({ tls: used }));
      await install(used, await ca.sign(name, { ips: ["127.0.0.1"], days }));
      const says2 = new RegExp(`^connect to etcd "https://\\S+": the server's certificate ${says}$`);
      const given = flags(etcd.endpoints, { cafile: ca.cert });
      await toldThenCured(api, given, says2, () => install(used, good));
    });

    etcdTest(`etcd dates: ${api}: our own certificate is ${what}`, async () => {
      const name = `client-${api}-${what.replaceAll(" ", "-")}`;
      await using etcd = await configured(await startEtcd2({ tls: good, clientCa: ca.cert, client: good }));
      const used = await copy(name, await ca.sign(name, { server: false, days }));
      const says2 = new RegExp(
        `^connect to etcd "https://\\S+": our certificate in -etcd-certfile "${used.cert}" ${says}$`,
      );
      const given = flags(etcd.endpoints, { cafile: ca.cert, certfile: used.cert, keyfile: used.key });
      await toldThenCured(api, given, says2, () => install(used, good));
    });
  }
}

etcdTest("etcd dates: one message, while the clock goes on; another when it was set", async () => {
  const { cert } = await ca.sign("remembered", { days: [-30, -3] });
  const { dates } = new TlsFiles({ cafile: "", certfile: "", keyfile: "" });
  const [endpoint] = parseEndpoints("https://127.0.0.1:2379", false);
  const { X509Certificate } = await import("node:crypto");
  const certificate = new X509Certificate(await Deno.readTextFile(cert));
  const now = systemClock().wall();
  const told = (at: number) => dates.trouble(endpoint!, "it", certificate, at)?.state;
  assertEquals(told(now + 3_600_000), told(now));
  assert(told(now) !== told(now + 400 * 86_400_000));
  assertEquals(told(now - 10 * 86_400_000), undefined);
});
