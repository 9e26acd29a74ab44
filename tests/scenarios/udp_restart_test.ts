/**
 * A restart of a daemon with backend udp, asked for or by kill -9, under a ping every 5 ms. With a service manager that keeps
 * descriptors nothing is lost; without one only what falls between stop and ready, which is printed.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *                 └─ flannel0 ───────────────── flannel0 ─┘
 *                    under a manager
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { launchReady } from "../support/daemon.ts";
import { containerOn, linkOf, sqliteArgs } from "../support/overlay.ts";
import { say } from "../support/process.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { type Host, scenario, type Topology } from "../support/topology.ts";
import { reachable, startPing } from "../support/traffic.ts";

const INTERVAL = 5;
const config = (more = {}) => ({ Network: "10.1.0.0/16", Backend: { Type: "udp", ...more } });

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  scenario(`udp restart after ${signal} with a descriptor store: nothing lost`, { hosts: 2 }, async (net) => {
    const { manager, c1, c2 } = await managed(net);
    const [h1] = net.hosts as [Host];
    const before = await deviceAndRoutes(h1);
    const ping = startPing(c1, c2.address, INTERVAL);
    await ping.answers(100);
    for (let round = 0; round < 2; round++) {
      assertEquals(await manager.restart(signal), 2, "the device and the socket");
      await ping.answers(100);
    }
    const report = await ping.stop();
    say(`${signal}: sent ${report.sent}, received ${report.received}`);
    assertEquals(report.lost, []);
    assertEquals(await deviceAndRoutes(h1), before);
    await manager.stop();
    assertEquals(await tunnels(h1), "", "a real stop takes the device away");
  });

  scenario(`udp restart after ${signal} without a store: only the gap is lost`, { hosts: 2 }, async (net) => {
    const args = await sqliteArgs(net, config());
    const [h1, h2] = net.hosts as [Host, Host];
    const daemon = await launchReady(h1, args);
    await launchReady(h2, args);
    const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
    await reachable(c1, c2.address);
    const ping = startPing(c1, c2.address, INTERVAL);
    await ping.answers(100);
    const start = performance.now();
    await daemon.stop(signal);
    assertEquals(await tunnels(h1), "");
    const again = await launchReady(h1, args);
    const gap = Math.round(performance.now() - start);
    if (signal === "SIGTERM") await again.line(/packets are carried again, \d+ ms after the stop/);
    await ping.answers(100);
    const { sent, lost } = await ping.stop();
    say(`${signal}: ${gap} ms from stop to ready, ${lost.length} of ${sent} lost, one every ${INTERVAL} ms`);
    assertEquals(lost.length * INTERVAL <= gap + 100, true, `${lost.length} lost in ${gap} ms`);
    assertEquals(lost.at(-1)! - lost[0]!, lost.length - 1, "one gap");
  });
}

scenario("udp: another number of queues makes the kept device anew", { hosts: 2 }, async (net) => {
  const { manager, c1, c2 } = await managed(net);
  const [h1] = net.hosts as [Host];
  const before = (await linkOf(h1, "flannel0")).ifindex;
  await sqliteArgs(net, config({ Queues: 2 }));
  assertEquals(await manager.restart("SIGKILL"), 2);
  await reachable(c1, c2.address);
  assertEquals((await linkOf(h1, "flannel0")).ifindex === before, false);
  assertStringIncludes(manager.lines.join("\n"), "does not fit what is wanted now");
  assertEquals(await manager.restart("SIGTERM"), 4, "two of each");
  await reachable(c1, c2.address);
});

async function managed(net: Topology) {
  const args = await sqliteArgs(net, config());
  const [h1, h2] = net.hosts as [Host, Host];
  const manager = await ServiceManager.start(h1, args);
  await launchReady(h2, args);
  const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
  await reachable(c1, c2.address);
  return { manager, c1, c2 };
}

function tunnels(host: Host): Promise<string> {
  return host.run(["ip", "-br", "link", "show", "type", "tun"]);
}

async function deviceAndRoutes(host: Host): Promise<unknown> {
  const { ifindex, mtu } = await linkOf(host, "flannel0");
  return [
    ifindex,
    mtu,
    await host.run(["ip", "route"]),
    await host.run(["ip", "address", "show", "dev", "flannel0"]),
  ];
}
