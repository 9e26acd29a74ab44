/**
 * Peers on the same link and behind a router, for the backends that make a difference.
 *
 *   c1 ─ h1 ─ eth0 .11 ──┬── 192.168.64.0/24 ──┬── eth0 .12 ─ h2 ─ c2
 *                        └─ .1 outside .1 ──── 192.168.65.0/24 ── eth0 .13 ─ h3 ─ c3
 */
import { assertEquals, assertMatch } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { reachable, unreachablePairs } from "../support/traffic.ts";
import { containerOn, sqliteArgs } from "../support/overlay.ts";
import { type Host, type PlainContainer, scenario, type Topology } from "../support/topology.ts";

const TWO_LINKS = { hosts: 3, segments: [0, 0, 1] };

scenario(
  "vxlan with DirectRouting: a route on the own link, the tunnel behind a router",
  TWO_LINKS,
  async (net) => {
    await launchAll(net, { Type: "vxlan", DirectRouting: true });
    const containers = await containersOf(net);
    await reachable(containers[0]!, containers[1]!.address);
    await reachable(containers[0]!, containers[2]!.address);
    assertEquals(await unreachablePairs(containers), []);
    const [h1, h2, h3] = net.hosts as [Host, Host, Host];
    assertMatch(await routeTo(h1, h2), /via 192\.168\.64\.12 dev eth0/);
    assertMatch(await routeTo(h1, h3), /via 10\.1\.\d+\.0 dev flannel\.1 .*onlink/);
    assertMatch(await routeTo(h3, h1), /via 10\.1\.\d+\.0 dev flannel\.1 .*onlink/);
  },
);

scenario("host-gw: a peer behind a router is refused and told, the others work", TWO_LINKS, async (net) => {
  const [h1, h2, h3] = net.hosts as [Host, Host, Host];
  const [daemon] = await launchAll(net, { Type: "host-gw" });
  const [c1, c2] = await containersOf(net);
  await reachable(c1!, c2!.address);
  assertEquals(await unreachablePairs([c1!, c2!]), []);
  assertMatch(await routeTo(h1, h2), /via 192\.168\.64\.12 dev eth0/);
  const subnet = (await subnetEnv(h3)).FLANNEL_SUBNET!.replace(/1\/24$/, "0/24");
  await daemon!.line(new RegExp(`${subnet}.*refused`));
  assertEquals(await routeTo(h1, h3), "");
});

async function launchAll(net: Topology, backend: unknown) {
  const args = await sqliteArgs(net, { Network: "10.1.0.0/16", Backend: backend });
  return await Promise.all(net.hosts.map((host) => launchReady(host, args)));
}

async function containersOf(net: Topology): Promise<PlainContainer[]> {
  return await Promise.all(net.hosts.map((host) => containerOn(net, host)));
}

async function routeTo(from: Host, to: Host): Promise<string> {
  const subnet = (await subnetEnv(to)).FLANNEL_SUBNET!.replace(/1\/24$/, "0/24");
  return await from.run(["ip", "route", "show", subnet]);
}
