/** What rounds say: one line for a peer, whatever its objects are, and a bounded number of them whatever happens. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Operation } from "../../src/model/plan.ts";
import { Cluster, config, type TestHost } from "../support/cluster.ts";

const peers = 249;

/** A peer's record, as flannel's vxlan writes it; with IPv6 where `v6`. */
function put(cluster: Cluster, n: number, type: string, { v6 = false, mac = macOf(n) } = {}): string {
  const key = `10.1.${n}.0-24${v6 ? `&fd00:1:0:${n.toString(16)}::-64` : ""}`;
  const data = type === "vxlan" ? { BackendData: { VtepMAC: mac } } : {};
  const data6 = type === "vxlan" && v6 ? { BackendV6Data: { VtepMAC: mac } } : {};
  const family = v6 ? { PublicIPv6: `fd00:64::1:${n}` } : {};
  cluster.store.put(
    key,
    JSON.stringify({ PublicIP: `192.168.65.${n}`, ...family, BackendType: type, ...data, ...data6 }),
  );
  return key;
}

function macOf(n: number): string {
  return `02:00:00:00:01:${n.toString(16).padStart(2, "0")}`;
}

async function among(count: number): Promise<{ cluster: Cluster; host: TestHost }> {
  const cluster = new Cluster();
  for (let n = 1; n <= count; n++) put(cluster, n, "vxlan");
  const host = await cluster.started(11);
  await cluster.advance(15_000);
  host.lines.length = 0;
  return { cluster, host };
}

const kinds = [
  { name: "vxlan", type: "vxlan", network: config },
  {
    name: "vxlan with DirectRouting",
    type: "vxlan",
    network: { ...config, Backend: { Type: "vxlan", DirectRouting: true } },
  },
  { name: "host-gw", type: "host-gw", network: { ...config, Backend: { Type: "host-gw" } } },
  { name: "udp", type: "", network: { ...config, Backend: { Type: "udp" } } },
  {
    name: "vxlan of both families",
    type: "vxlan",
    v6: true,
    network: { ...config, EnableIPv6: true, IPv6Network: "fd00:1::/48" },
  },
];

for (const { name, type, network, v6 = false } of kinds) {
  Deno.test(`${name}: a line when a peer joins, one when it leaves, with its subnets and addresses`, async () => {
    await using cluster = new Cluster(1, network);
    const host = await cluster.started(11);
    host.lines.length = 0;
    const key = put(cluster, 77, type, { v6 });
    await cluster.advance(1_000);
    const who = v6
      ? "peer 10.1.77.0/24, fd00:1:0:4d::/64 (192.168.65.77, fd00:64::1:77)"
      : "peer 10.1.77.0/24 (192.168.65.77)";
    assertEquals(host.lines, [`info: ${who} joined`]);
    cluster.store.delete(key);
    await cluster.advance(1_000);
    assertEquals(host.lines, [`info: ${who} joined`, `info: ${who} left`]);
  });
}

Deno.test("a peer that changes is one line too, with what has changed", async () => {
  await using cluster = new Cluster();
  const host = await cluster.started(11);
  put(cluster, 77, "vxlan");
  await cluster.advance(1_000);
  host.lines.length = 0;
  put(cluster, 77, "vxlan", { mac: "02:00:00:00:02:02" });
  await cluster.advance(1_000);
  assertEquals(host.lines.length, 1, host.lines.join("\n"));
  assertMatch(host.lines[0]!, /^info: peer 10\.1\.77\.0\/24 \(192\.168\.65\.77\): .*02:00:00:00:02:02/);
});

Deno.test("a peer that was pruned at the start, and of which nobody knows more, is named by its subnet", async () => {
  await using cluster = new Cluster();
  const host = await cluster.started(11);
  const key = put(cluster, 77, "vxlan");
  await cluster.advance(1_000);
  await host.stop();
  cluster.store.delete(key);
  host.lines.length = 0;
  await host.start();
  await cluster.advance(1_000);
  assertEquals(host.said(/10\.1\.77/), ["info: peer 10.1.77.0/24 left"]);
});

Deno.test("the device deleted among many peers: a few lines, and how many peers there were", async () => {
  const { cluster, host } = await among(peers);
  await using _ = cluster;
  host.kernel.remove("link", "flannel.1");
  await cluster.advance(5_000);
  assertEquals(host.keys("route").length, peers);
  assert(host.lines.length <= 20, `${host.lines.length} lines`);
  assertEquals(host.said(/repaired link, which was gone/).length, 1);
  const [sum] = host.said(/more repairs/);
  const told = host.said(/repaired/).length;
  assertEquals(
    Number(/(\d+) more/.exec(sum ?? "")?.[1]) + told,
    peers + 3,
    "device, setting, address, peers",
  );
});

Deno.test("a device that somebody deletes every second is a dozen lines in ten seconds", async () => {
  const { cluster, host } = await among(peers);
  await using _ = cluster;
  for (let i = 0; i < 60; i++) {
    host.kernel.remove("link", "flannel.1");
    await cluster.advance(1_000);
  }
  assert(host.lines.length <= 7 * 12, `${host.lines.length} lines in a minute`);
});

Deno.test("what fails for every peer is a few lines, and so is its end, which says how long it lasted", async () => {
  const { cluster, host } = await among(peers);
  await using _ = cluster;
  host.kernel.refuse = ({ object }: Operation) => object.kind === "link" ? null : "no memory (ENOMEM)";
  host.kernel.remove("link", "flannel.1");
  await cluster.advance(20_000);
  const errors = host.said(/^error/);
  assert(errors.length <= 12, `${errors.length} errors`);
  assertMatch(errors[0]!, /no memory \(ENOMEM\); trying again/);
  host.kernel.refuse = () => null;
  await cluster.advance(60_000);
  const over = host.said(/in order again/);
  assert(over.length >= 2 && over.length <= 12, `${over.length} lines`);
  assertMatch(over[0]!, /in order again, after \d\d s$/);
  assertEquals(host.said(/^error/), errors);
});

Deno.test("a foreign device in the place of ours is one obstacle, not one for every peer", async () => {
  const { cluster, host } = await among(peers);
  await using _ = cluster;
  host.kernel.remove("link", "flannel.1");
  host.kernel.put({
    kind: "link",
    key: "flannel.1",
    fields: { type: "dummy", alias: "", mtu: 1500, up: true },
  });
  await cluster.advance(5_000);
  assertEquals(host.said(/in the way/).length, 1, host.lines.slice(0, 5).join("\n"));
});

Deno.test("many peers that join, and leave, at once are a few lines and a sum", async () => {
  await using cluster = new Cluster();
  const host = await cluster.started(11);
  await cluster.advance(10_000);
  host.lines.length = 0;
  const numbers = Array.from({ length: peers + 1 }, (_, i) => i + 1);
  const others = numbers.filter((n) => host.subnet !== `flannel.1 10.1.${n}.0`).slice(0, peers);
  const keys = others.map((n) => put(cluster, n, "vxlan"));
  await cluster.advance(1_000);
  assertEquals(host.said(/ joined/).length, 11);
  assertStringIncludes(host.said(/ joined/).at(-1)!, `info: ${peers - 10} more peers joined (peer `);
  for (const key of keys) cluster.store.delete(key);
  await cluster.advance(20_000);
  assertStringIncludes(host.said(/ left/).at(-1)!, `info: ${peers - 10} more peers left (peer `);
  assert(host.lines.length < 30, host.lines.join("\n"));
});
