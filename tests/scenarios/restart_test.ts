/**
 * A restart of the daemon, asked for or by kill -9, loses no packet and touches nothing that is right.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *                 └─ flannel.1 ───────────────── flannel.1 ─┘
 *
 * Leases in SQLite; containers are plain namespaces. The ping runs every 5 ms, from before the stop until after the new
 * daemon is ready. `ip monitor` must not see one change on flannel.1.
 */
import { assertEquals } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { containerOn, linkOf, sqliteArgs, standing } from "../support/overlay.ts";
import { type Process, say } from "../support/process.ts";
import { type Host, scenario, type Topology } from "../support/topology.ts";
import { reachable, startPing } from "../support/traffic.ts";

const INTERVAL = 5;

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  scenario(`restart after ${signal}: no packet lost, the device untouched`, { hosts: 2 }, async (net) => {
    const args = [...await sqliteArgs(net), "-ip-masq"];
    const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, args)));
    const [c1, c2] = await twoContainers(net);
    const before = await stateOf(net.hosts);
    const monitors = net.hosts.flatMap(watchDevice);
    const ping = startPing(c1, c2.address, INTERVAL);
    await ping.answers(100);

    for (const [i, daemon] of daemons.entries()) {
      assertEquals(await daemon.stop(signal), signal === "SIGTERM" ? 0 : 137);
      await ping.answers(100);
      await launchReady(net.hosts[i]!, args);
      await ping.answers(100);
    }

    const report = await ping.stop();
    say(`${signal}: sent ${report.sent}, received ${report.received}`);
    assertEquals(report.lost, []);
    assertEquals(await stateOf(net.hosts), before);
    assertEquals(await changes(monitors), []);
  });
}

async function twoContainers(net: Topology) {
  const c1 = await containerOn(net, net.host(1));
  const c2 = await containerOn(net, net.host(2));
  await reachable(c1, c2.address);
  return [c1, c2] as const;
}

async function stateOf(hosts: readonly Host[]): Promise<unknown> {
  return await Promise.all(hosts.map(async (host) => {
    const { ifindex, address } = await linkOf(host);
    return { ifindex, address, env: await subnetEnv(host), standing: await standing(host) };
  }));
}

function watchDevice(host: Host): Process[] {
  return [
    host.start("ip monitor", ["ip", "-4", "monitor", "link", "address", "route", "neigh"]),
    host.start("bridge monitor", ["bridge", "monitor", "fdb"]),
  ];
}

/** What the monitors saw happen on flannel.1. */
async function changes(monitors: readonly Process[]): Promise<string[]> {
  await Promise.all(monitors.map((monitor) => monitor.stop()));
  return monitors.flatMap((monitor) => monitor.lines.filter((line) => line.includes("flannel.1")));
}
