/**
 * Backend udp in a cluster shared with upstream's daemon, of either release that v3 or v2 etcd can serve: both proxies carry
 * each other's packets, whole streams arrive as they were, and each takes over the other's host.
 *
 *   c1 ── cbr0 ── h1: flanneld (ours) ── 192.168.64.0/24 ── h2: flanneld (upstream) ── cbr0 ── c2
 *                  └ etcd
 */
import { assertEquals } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { containerOn } from "../support/overlay.ts";
import { startEtcd, startUpstreamTunnel, withUpstream } from "../support/peers.ts";
import { say } from "../support/process.ts";
import type { PlainContainer } from "../support/topology.ts";
import { reachable, startPing, transfer } from "../support/traffic.ts";

const CONFIG = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "udp", Port: 7890 } };

withUpstream("udp: a mixed cluster, and taking over both ways", async (net, upstream) => {
  const [h1, h2] = [net.host(1), net.host(2)];
  const etcd = await startEtcd(net, CONFIG);
  const args = ["-etcd-endpoints", etcd.endpoints];
  await launchReady(h1, args);
  const theirs = await startUpstreamTunnel(net, h2, upstream, args);
  const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
  await reachable(c1, c2.address);
  await reachable(c2, c1.address);
  await sendBothWays(c1, c2);

  const subnet = await subnetEnv(h2);
  const ping = startPing(c1, c2.address, 10);
  await ping.answers(50);
  const start = performance.now();
  await theirs.stop();
  const ours = await launchReady(h2, args);
  say(`upstream's stop to our ready: ${Math.round(performance.now() - start)} ms`);
  await ping.answers(50);
  assertEquals(await subnetEnv(h2), subnet);
  const back = performance.now();
  await ours.stop();
  await startUpstreamTunnel(net, h2, upstream, args);
  say(`our stop to upstream's ready: ${Math.round(performance.now() - back)} ms`);
  await ping.answers(50);
  const report = await ping.stop();
  say(`take-over both ways: sent ${report.sent}, received ${report.received}`);
  assertEquals(await subnetEnv(h2), subnet);
});

/** Odd sizes, so that the last segments are short ones. */
async function sendBothWays(c1: PlainContainer, c2: PlainContainer): Promise<void> {
  for (const [from, to, megabytes] of [[c1, c2, 1], [c2, c1, 1], [c1, c2, 60], [c2, c1, 60]] as const) {
    const { sent, received, seconds } = await transfer(from, to, megabytes);
    assertEquals(received, sent);
    say(`${megabytes} MB from ${from.name} in ${seconds.toFixed(2)} s, checksums equal`);
  }
}
