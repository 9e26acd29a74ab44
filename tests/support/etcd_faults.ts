/**
 * A cluster whose etcd is about to fail: three hosts with a member each, daemons on the first two, traffic between them. And the
 * fault that scenarios and the long tier share.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { health, launch, launchReady } from "./daemon.ts";
import { followed, ghost } from "./ghosts.ts";
import { HostEtcd } from "./host_etcd.ts";
import { CONFIG, standing } from "./overlay.ts";
import { poll, type Process, say } from "./process.ts";
import { SteadyTraffic } from "./steady_traffic.ts";
import type { Host, Topology } from "./topology.ts";

export interface Cluster {
  readonly net: Topology;
  readonly etcd: HostEtcd;
  /** Those with a daemon. */
  readonly hosts: [Host, Host];
  readonly daemons: readonly Process[];
  readonly traffic: SteadyTraffic;
}

export async function startCluster(net: Topology): Promise<Cluster> {
  const etcd = await HostEtcd.start(net);
  await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
  const hosts: [Host, Host] = [net.host(1), net.host(2)];
  const args = [...etcd.flags(), "-healthz-port=300"];
  const daemons = await Promise.all(hosts.map((host) => launchReady(host, args)));
  return { net, etcd, hosts, daemons, traffic: await SteadyTraffic.start(net, ...hosts) };
}

/**
 * Two of three members are dead for `ms` milliseconds. The daemons say so and keep everything; one that is killed meanwhile waits.
 */
export async function withoutMajority(net: Topology, ms: number): Promise<void> {
  const { etcd, hosts, daemons, traffic } = await startCluster(net);
  const [h1, h2] = hosts;
  await Promise.all([etcd.kill(2), etcd.kill(3)]);
  const end = performance.now() + ms;
  await daemons[0]!.line(/the store is out of reach/);
  assertEquals((await health(h1, "/readyz")).status, 200, "an outage of the store is no reason");
  const before = await standing(h2);
  assertEquals(await daemons[1]!.stop("SIGKILL"), 137);
  const again = launch(h2, etcd.flags());
  await again.line(/The store does not answer/);
  await poll("the end of the outage", ms + 1_000, () => performance.now() > end);
  assertEquals(await standing(h2), before);
  const start = performance.now();
  await Promise.all([etcd.restart(2), etcd.restart(3)]);
  await etcd.ctl("put", ...ghost(101));
  await followed(hosts, 101);
  say(`majority back: a new peer is known after ${Math.round(performance.now() - start)} ms`);
  assertMatch(daemons[0]!.text, /the store answers again/);
  await traffic.stopWhole(`${ms / 1000} s without a majority`);
}
