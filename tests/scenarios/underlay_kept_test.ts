/**
 * What comes and goes beside the underlay's address leaves the tunnel where it is: a virtual address, another default route, one
 * through the tunnel itself, a bridge of ours that the flags would take. A ping every 10 ms runs from host 2's container to host 1's.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 .11 ── 192.168.64.0/24 ── eth0 .12 ─ h2 ── cbr0 ── c2
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launchReady } from "../support/daemon.ts";
import { linkOf, sqliteArgs } from "../support/overlay.ts";
import { poll, type Process } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { type Host, scenariosTogether, type Topology } from "../support/topology.ts";

/** Where the tunnel of a host starts. */
async function source(host: Host): Promise<unknown> {
  return (await linkOf(host)).linkinfo.info_data.local;
}

async function begin(net: Topology, flags: readonly string[] = []) {
  const args = await sqliteArgs(net);
  const [h1, h2] = [net.host(1), net.host(2)];
  const daemons = [await launchReady(h1, [...args, ...flags]), await launchReady(h2, args)] as const;
  const traffic = await SteadyTraffic.start(net, h2, h1);
  return { h1, h2, args, daemon: daemons[0], traffic };
}

function moved({ lines }: Process): string[] {
  return lines.filter((line) => line.includes("the underlay has changed"));
}

async function virtualAddress(net: Topology): Promise<void> {
  const h1 = net.host(1);
  await h1.sh(`
    ip address change ${h1.ip}/24 dev eth0 valid_lft 3600 preferred_lft 3600
    ip address add 192.168.64.100/32 dev eth0`);
  const { daemon, traffic } = await begin(net);
  assertEquals(await source(h1), h1.ip);
  for (const verb of ["del", "add", "del", "add"]) {
    await h1.sh(`ip address ${verb} 192.168.64.100/32 dev eth0`);
    await traffic.flows();
  }
  await traffic.stopWhole("a virtual address comes and goes");
  assertEquals([await source(h1), moved(daemon)], [h1.ip, []]);
}

async function anotherDefaultRoute(net: Topology): Promise<void> {
  const h1 = net.host(1);
  await h1.sh(`
    ip link add eth1 type veth peer name far
    ip address add 172.30.0.2/24 dev eth1
    ip link set far up
    ip link set eth1 up`);
  const { daemon, traffic } = await begin(net);
  for (const metric of [10, 1]) {
    await h1.sh(`ip route del default; ip route add default via 192.168.64.1 metric 50`);
    await h1.sh(`ip route add default via 172.30.0.1 dev eth1 metric ${metric}`);
    await traffic.flows();
    await h1.sh("ip route del default dev eth1");
    await traffic.flows();
  }
  await traffic.stopWhole("the default route moves to another interface and back");
  assertEquals([await source(h1), moved(daemon)], [h1.ip, []]);
}

async function throughTheTunnel(net: Topology): Promise<void> {
  const { h1, args, daemon, traffic } = await begin(net);
  await h1.sh(`
    ip route del default
    ip route add default via 192.168.64.1 metric 50
    ip route add default dev flannel.1 metric 1`);
  await traffic.flows();
  assertEquals(await daemon.stop(), 0);
  const again = await launchReady(h1, args);
  await traffic.stopWhole("a default route through the tunnel, and a restart");
  assertEquals([await source(h1), moved(again)], [h1.ip, []]);
  assert(again.lines.some((line) => line.includes(`Using interface with name eth0 and address ${h1.ip}`)));
}

async function bridgeOfOurs(net: Topology): Promise<void> {
  const { h1, daemon, traffic } = await begin(net, ["-iface-regex=^(192\\.168\\.64|10)\\."]);
  // The same MAC again: what the neighbours have learned of it is not what this is about.
  const { address } = await linkOf(h1, "eth0");
  await h1.sh("ip link del eth0");
  await daemon.line(/follow the underlay: .*; keeping eth0 as it was/);
  assert(await h1.run(["ip", "link", "show", "cbr0"]));
  await net.wire.sh(`
    ip link add h1 master seg0 type veth peer name eth0 address ${address} netns ${h1.pid}
    ip link set h1 up`);
  await h1.sh(`
    ip address add ${h1.ip}/24 dev eth0
    ip link set eth0 up
    ip route add default via 192.168.64.1`);
  await poll("the tunnel to stand again", 30_000, async () => {
    return await source(h1).catch(() => null) === h1.ip;
  });
  await traffic.ping.answers(5);
  await traffic.stop();
  assertEquals(moved(daemon), []);
  assertMatch(daemon.lines.join("\n"), /the underlay is back: eth0/);
}

scenariosTogether("underlay: what comes and goes beside its address leaves the tunnel where it is", [
  [{ hosts: 2 }, virtualAddress],
  [{ hosts: 2 }, anotherDefaultRoute],
  [{ hosts: 2 }, throughTheTunnel],
  [{ hosts: 2 }, bridgeOfOurs],
]);
