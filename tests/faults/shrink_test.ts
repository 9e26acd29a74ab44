/** A second look before most peers go: whatever their objects are. */
import { assert, assertEquals } from "@std/assert";
import { formatLeaseKey } from "../../src/model/lease_codec.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";

const both = { ...config, EnableIPv6: true, IPv6Network: "fd00:1::/48" };
const six = { EnableIPv4: false, EnableIPv6: true, IPv6Network: "fd00:1::/48", Backend: { Type: "vxlan" } };

/** `ways`: the kind of what leads to a peer, and how many of it a peer has. */
const kinds = {
  "vxlan": { network: config, ways: "route", each: 1 },
  "vxlan with DirectRouting": {
    network: { ...config, Backend: { Type: "vxlan", DirectRouting: true } },
    ways: "route",
    each: 1,
  },
  "host-gw": { network: { ...config, Backend: { Type: "host-gw" } }, ways: "route", each: 1 },
  "udp": { network: { ...config, Backend: { Type: "udp" } }, ways: "peer", each: 1 },
  "vxlan of both families": { network: both, ways: "route", each: 2 },
  "udp of both families": { network: { ...both, Backend: { Type: "udp" } }, ways: "peer", each: 2 },
  "host-gw of both families": { network: { ...both, Backend: { Type: "host-gw" } }, ways: "route", each: 2 },
  "vxlan of IPv6 alone": { network: six, ways: "route", each: 1 },
};

/** One host that goes on and `peers` others whose leases are all that there will be of them. */
async function among(cluster: Cluster, peers: number): Promise<{ host: TestHost; keys: string[] }> {
  const host = await cluster.started(11);
  const others: TestHost[] = [];
  for (let n = 0; n < peers; n++) others.push(await cluster.started(12 + n));
  const keys = others.map((other) => formatLeaseKey(other.overlay!.lease.subnets));
  for (const other of others) await other.stop();
  await cluster.advance(3_000);
  return { host, keys };
}

for (const [name, { network, ways, each }] of Object.entries(kinds)) {
  const count = (host: TestHost) =>
    host.kernel.objects().filter((o) => o.kind === ways && /\.0\/24$|::\/64$/.test(o.key)).length;

  Deno.test(`${name}: when all peers are gone from the store at once, a second look comes first`, async () => {
    await using cluster = new Cluster(1, network);
    const { host, keys } = await among(cluster, 6);
    assertEquals(count(host), 6 * each);
    for (const key of keys) cluster.store.delete(key);
    for (const ms of [200, 800, 2_000, 1_500]) {
      await cluster.advance(ms);
      assertEquals(count(host), 6 * each, "nothing goes before the second look");
    }
    assert(host.overlay!.readiness().notes.some((note) => /wait for a second look/.test(note)));
    await cluster.advance(2_000);
    assertEquals(count(host), 0, "a second listing agrees");
    assertEquals(host.said(/a second look agrees/).length, 1);
  });

  Deno.test(`${name}: what comes back before the second look loses nothing`, async () => {
    await using cluster = new Cluster(1, network);
    const { host, keys } = await among(cluster, 6);
    const values = keys.map((key) => cluster.store.get(key)!);
    const before = host.kernel.objects();
    for (const key of keys) cluster.store.delete(key);
    await cluster.advance(3_000);
    keys.forEach((key, i) => cluster.store.put(key, values[i]!));
    await cluster.advance(20_000);
    assertEquals(host.kernel.objects(), before);
  });

  Deno.test(`${name}: half of the peers, or three that are all, may go at once; the one soon after the other not`, async () => {
    for (const [pause, left] of [[300, 3 * each], [5_300, 0]] as const) {
      await using cluster = new Cluster(1, network);
      const { host, keys } = await among(cluster, 6);
      for (const key of keys.slice(0, 3)) cluster.store.delete(key);
      await cluster.advance(pause);
      assertEquals(count(host), 3 * each);
      for (const key of keys.slice(3)) cluster.store.delete(key);
      await cluster.advance(300);
      assertEquals(count(host), left, `${pause} ms between`);
      await cluster.advance(6_000);
      assertEquals(count(host), 0);
    }
  });
}

Deno.test("another backend in the configuration takes the old objects at once: no peer is lost by it", async () => {
  await using cluster = new Cluster(1, config);
  const hosts: TestHost[] = [];
  for (let n = 11; n < 18; n++) hosts.push(await cluster.started(n));
  await cluster.advance(3_000);
  cluster.store.setConfig(JSON.stringify({ ...config, Backend: { Type: "host-gw" } }));
  await cluster.advance(3_000);
  assertEquals(hosts[0]!.keys("link"), ["eth0"]);
  assertEquals(hosts[0]!.keys("route").length, 6);
});
