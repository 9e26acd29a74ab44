/**
 * A cluster shared with upstream's daemon on one etcd: both see each other, containers talk; then each takes over from the
 * other on its host, under a ping that loses nothing.
 *
 *   c1 ── cbr0 ── h1: flanneld (ours) ── 192.168.64.0/24 ── h2: flanneld (upstream) ── cbr0 ── c2
 *                  └ etcd
 */
import { assertEquals, assertMatch } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { containerOn, linkOf } from "../support/overlay.ts";
import { startEtcd, startUpstream, withUpstream } from "../support/peers.ts";
import { poll, type Process, say } from "../support/process.ts";
import { type Host, Topology } from "../support/topology.ts";
import { reachable, startPing } from "../support/traffic.ts";

const CONFIG = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } };
withUpstream("a mixed cluster, and taking over both ways", mixed);

async function mixed(net: Topology, upstream: string): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const etcd = await startEtcd(net, CONFIG);
  const args = ["-etcd-endpoints", etcd.endpoints, "-ip-masq"];
  const ours = await launchReady(h1, args);
  const theirs = await upstreamReady(net, h2, upstream, args);
  const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
  await reachable(c1, c2.address);
  await reachable(c2, c1.address);
  const before = [await linkOf(h1), await linkOf(h2)].map((link) => [link.ifindex, link.address]);
  const subnets = [await subnetEnv(h1), await subnetEnv(h2)];

  const ping = startPing(c1, c2.address, 10);
  await ping.answers(50);
  await theirs.stop();
  const taken = await launchReady(h2, args);
  await ping.answers(50);
  assertMatch(await h2.run(["ip", "route", "show", "proto", "85"]), /^10\.1\.\d+\.0\/24 via/);
  await ours.stop();
  await upstreamReady(net, h1, upstream, args);
  await ping.answers(50);
  assertEquals(await taken.stop(), 0);
  await upstreamReady(net, h2, upstream, args);
  await ping.answers(50);
  const report = await ping.stop();
  say(`take-over both ways: sent ${report.sent}, received ${report.received}`);
  assertEquals(report.lost, []);
  assertEquals([await linkOf(h1), await linkOf(h2)].map((link) => [link.ifindex, link.address]), before);
  assertEquals([await subnetEnv(h1), await subnetEnv(h2)], subnets);
}

/** Starts upstream's daemon and waits until it runs its backend. */
async function upstreamReady(
  net: Topology,
  host: Host,
  upstream: string,
  args: readonly string[],
): Promise<Process> {
  const daemon = net.use(startUpstream(host, upstream, args));
  await poll(
    "upstream's daemon runs",
    30_000,
    () => daemon.lines.some((line) => /Running backend/.test(line)),
  );
  return daemon;
}
