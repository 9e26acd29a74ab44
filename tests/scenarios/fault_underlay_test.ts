/**
 * The underlay of a running host goes down and comes up again, and then has another address, as after a new DHCP lease. The way
 * to etcd goes with it. The data path is cut; the time from the underlay's return to the first answer is printed.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *   etcd on h1                                      .12, then .22
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { CONFIG } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";

const SUBNETS = "/coreos.com/network/subnets/";

async function started(net: Topology) {
  const etcd = await HostEtcd.start(net, [1]);
  await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
  const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, etcd.flags())));
  return { etcd, daemons, traffic: await SteadyTraffic.start(net, net.host(1), net.host(2)) };
}

async function downAndUp(net: Topology): Promise<void> {
  const h2 = net.host(2);
  const { daemons, traffic } = await started(net);
  await h2.sh("ip link set eth0 down");
  await daemons[1]!.line(/follow the underlay: .*keeping eth0/);
  await daemons[1]!.line(/the store is out of reach/);
  await h2.sh("ip link set eth0 up; ip route add default via 192.168.64.1");
  const up = performance.now();
  await traffic.ping.answers(1);
  say(`down and up: an answer ${Math.round(performance.now() - up)} ms after up`);
  await daemons[1]!.line(/the store answers again/);
  assert(daemons.every((daemon) => daemon.running));
  await traffic.stopRepaired("underlay down and up");
}

async function renumbered(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const { etcd, daemons, traffic } = await started(net);
  const env = await subnetEnv(h2);
  const start = performance.now();
  const took = () => Math.round(performance.now() - start);
  await h2.sh(`
    ip address del ${h2.ip}/24 dev eth0
    ip address add 192.168.64.22/24 dev eth0
    ip route add default via 192.168.64.1`);
  await poll("the new address in etcd", 30_000, async () => {
    return (await etcd.ctl("get", "--prefix", SUBNETS)).includes("192.168.64.22");
  });
  say(`renumbered: published after ${took()} ms`);
  await traffic.ping.answers(1);
  say(`renumbered: an answer after ${took()} ms`);
  const fdb = await h1.run(["bridge", "fdb", "show", "dev", "flannel.1"]);
  assert(fdb.includes("192.168.64.22") && !fdb.includes(`${h2.ip} `), fdb);
  assertMatch(await h2.run(["ip", "-d", "link", "show", "flannel.1"]), /local 192\.168\.64\.22/);
  const keys = await etcd.ctl("get", "--prefix", "--keys-only", SUBNETS);
  assertEquals(keys.trim().split(/\n+/).length, 2, keys);
  assertEquals(await subnetEnv(h2), env);
  assert(daemons.every((daemon) => daemon.running));
  await traffic.stopRepaired("underlay renumbered");
}

scenariosTogether("fault: the underlay goes down and up, or gets another address", [
  [{ hosts: 2 }, downAndUp],
  [{ hosts: 2 }, renumbered],
]);
