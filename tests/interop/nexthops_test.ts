/**
 * A host with hundreds of peers changes hands: our routes by way of nexthop objects become upstream's plain ones and back, under a
 * ping that loses nothing, and no object is left over that no peer needs.
 *
 *   c1 ── cbr0 ── h1: ours, then upstream's, then ours ── 192.168.64.0/24 ── h2: ours ── cbr0 ── c2
 *                  └ etcd, with 600 peers more that exist nowhere else
 */
import { assertEquals } from "@std/assert";
import { launchReady } from "../support/daemon.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { containerOn } from "../support/overlay.ts";
import { startEtcd, startUpstream, withUpstream } from "../support/peers.ts";
import { poll, say } from "../support/process.ts";
import { type Host, Topology } from "../support/topology.ts";
import { reachable, startPing } from "../support/traffic.ts";

const PEERS = 600;
const SUBNETS = "/coreos.com/network/subnets";
const CONFIG = {
  Network: "10.0.0.0/8",
  SubnetLen: 24,
  SubnetMin: "10.1.0.0",
  SubnetMax: "10.1.255.0",
  Backend: { Type: "vxlan" },
};
withUpstream(`a host with ${PEERS} peers changes hands and back`, handOver);

async function handOver(net: Topology, upstream: string): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const etcd = await startEtcd(net, CONFIG);
  await eachPeer(etcd, 0, (key, value) => `put ${key} ${JSON.stringify(value)}`);
  const args = ["-etcd-endpoints", etcd.endpoints, "-ip-masq"];
  const ours = await launchReady(h1, args);
  await launchReady(h2, args);
  const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
  await reachable(c1, c2.address);
  assertEquals(await counts(h1), { plain: 0, through: PEERS + 1, objects: PEERS + 1 });

  const ping = startPing(c1, c2.address, 10);
  await ping.answers(50);
  await ours.stop();
  const theirs = net.use(startUpstream(h1, upstream, args));
  const left = { plain: PEERS + 1, through: 0, objects: PEERS + 1 };
  await poll("upstream's routes", 60_000, async () => (await counts(h1)).plain === left.plain);
  assertEquals(await counts(h1), left, "upstream replaces in place and leaves the objects");
  await eachPeer(etcd, PEERS - 1, (key) => `del ${key}`);
  await poll("upstream's removal of one", 30_000, async () => (await counts(h1)).plain === PEERS);
  await theirs.stop();
  await eachPeer(etcd, 550, (key) => `del ${key}`);
  const again = await launchReady(h1, args);
  assertEquals(await counts(h1), { plain: 0, through: 551, objects: 551 });
  await again.stop();
  await eachPeer(etcd, 100, (key) => `del ${key}`);
  await launchReady(h1, args);
  // Most of the network is gone: it is looked at a second time first.
  await poll("the objects to be gone", 30_000, async () => (await counts(h1)).objects === 0);
  assertEquals(await counts(h1), { plain: 101, through: 0, objects: 0 });
  await ping.answers(50);
  const report = await ping.stop();
  say(`${PEERS} peers, changing hands and back: sent ${report.sent}, received ${report.received}`);
  assertEquals(report.lost, []);
}

/** One change for each peer from `first` on, in etcdctl's language. */
async function eachPeer(
  etcd: EtcdCluster,
  first: number,
  change: (key: string, value: string) => string,
): Promise<void> {
  const changes = Array.from({ length: PEERS }, (_, n) => {
    const [high, low] = [n >> 8, n & 255];
    const octet = (value: number) => value.toString(16).padStart(2, "0");
    const VtepMAC = `02:00:5e:00:${octet(high)}:${octet(low)}`;
    const BackendData = { VNI: 1, VtepMAC };
    const value = { PublicIP: `172.16.${high}.${low}`, PublicIPv6: null, BackendType: "vxlan", BackendData };
    return change(`${SUBNETS}/10.${16 + high}.${low}.0-24`, JSON.stringify(value));
  }).slice(first);
  for (let at = 0; at < changes.length; at += 100) await etcd.transact(changes.slice(at, at + 100));
}

/** Routes through flannel.1, plain and by way of nexthop objects, and the objects. */
async function counts(host: Host): Promise<{ plain: number; through: number; objects: number }> {
  const lines = async (...command: string[]) =>
    (await host.run(command)).split("\n").filter((line) => line.includes("dev flannel.1"));
  const routes = await lines("ip", "-4", "route");
  const through = routes.filter((line) => line.includes(" nhid ")).length;
  return { plain: routes.length - through, through, objects: (await lines("ip", "nexthop")).length };
}
