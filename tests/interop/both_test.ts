/**
 * A cluster that is half flannel 0.11 (etcd's v2 API) and half 0.28 (v3), with denim on both: containers of all three talk, those
 * of the two flannels too, which know of each other by denim's mirrors alone.
 *
 *   c1 ── cbr0 ── h1: denim, both ─┐
 *   c2 ── cbr0 ── h2: flannel 0.11 ├── 192.168.64.0/24
 *   c3 ── cbr0 ── h3: flannel 0.28 ┘      etcd with both APIs on h1
 */
import { assert, assertEquals } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { containerOn } from "../support/overlay.ts";
import { peerBinary, startUpstream, withUpstream } from "../support/peers.ts";
import { poll } from "../support/process.ts";
import type { Host } from "../support/topology.ts";
import { reachable } from "../support/traffic.ts";

const PREFIX = "/coreos.com/network";
const CONFIG = JSON.stringify({ Network: "10.1.0.0/16", Backend: { Type: "vxlan" } });

withUpstream("bridge: flannel 0.11, flannel 0.28 and denim in one network", async (net, old) => {
  const recent = peerBinary("flanneld-0.28");
  assert(recent !== null, "flanneld-0.28 beside flanneld-0.11");
  const [h1, h2, h3] = [net.host(1), net.host(2), net.host(3)];
  const members = [{ ip: h1.ip, ports: [2379, 2380] as const, enter: h1.enter }];
  const etcd = net.use(await EtcdCluster.start({ members, flags: ["--enable-v2"] }));
  await etcd.ctl2("set", `${PREFIX}/config`, CONFIG);
  await etcd.ctl("put", `${PREFIX}/config`, CONFIG);
  const args = ["-etcd-endpoints", etcd.endpoints, "-ip-masq"];
  const ours = await launchReady(h1, [...args, "--etcd-api=both"]);
  for (const [host, binary] of [[h2, old], [h3, recent]] as const) {
    const daemon = net.use(startUpstream(host, binary, args));
    await poll(
      "upstream's daemon runs",
      30_000,
      () => /Running backend|Watching for new subnet leases/.test(daemon.text),
    );
    await poll("its subnet file", 30_000, () => subnetEnv(host).then(() => true, () => false));
  }
  const keys = await Promise.all([h1, h2, h3].map(keyOf));
  await poll("all records on both sides", 30_000, async () => {
    const two = await etcd.ctl2("ls", "--recursive", `${PREFIX}/subnets`);
    const three = await etcd.ctl("get", "--prefix", "--keys-only", `${PREFIX}/subnets/`);
    return keys.every((key) => two.includes(key) && three.includes(key));
  });
  const containers = [];
  for (const host of [h1, h2, h3]) containers.push(await containerOn(net, host));
  for (const from of containers) {
    for (const to of containers) if (from !== to) await reachable(from, to.address);
  }
  assertEquals(await ours.stop(), 0);
}, { hosts: 3, peer: "flanneld-0.11" });

async function keyOf(host: Host): Promise<string> {
  return (await subnetEnv(host)).FLANNEL_SUBNET!.replace(/1\/24$/, "0-24");
}
