/**
 * A network moves from etcd's v2 API to v3 under a ping, as docs/migration.md says: copied once, then host by host.
 *
 *   c1 ── cbr0 ── h1: flanneld, etcd ── 192.168.64.0/24 ── h2: flanneld ── cbr0 ── c2
 */
import { assertEquals, assertMatch } from "@std/assert";
import { daemonCommand, launchReady, subnetEnv } from "../support/daemon.ts";
import { containerOn } from "../support/overlay.ts";
import { startEtcd } from "../support/peers.ts";
import { say } from "../support/process.ts";
import { scenario } from "../support/topology.ts";
import { reachable, startPing } from "../support/traffic.ts";

const CONFIG = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "vxlan" } };

scenario("a network moves from v2 to v3 without a lost packet", { hosts: 2 }, async (net) => {
  const etcd = await startEtcd(net, CONFIG, "v2");
  const args = ["-etcd-endpoints", etcd.endpoints];
  const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, args)));
  const before = await Promise.all(net.hosts.map((host) => subnetEnv(host)));
  const [c1, c2] = [await containerOn(net, net.host(1)), await containerOn(net, net.host(2))];
  await reachable(c1, c2.address);
  const ping = startPing(c1, c2.address, 10);
  await ping.answers(50);
  await net.host(1).run([...daemonCommand(), "migrate", "--from=v2", "--to=v3", "--apply", ...args]);
  for (const [i, host] of net.hosts.entries()) {
    assertEquals(await daemons[i]!.stop(), 0);
    daemons[i] = await launchReady(host, args);
    await ping.answers(50);
  }
  const { sent, lost } = await ping.stop();
  say(`moved from v2 to v3: sent ${sent}, lost ${lost.length}`);
  assertEquals(lost, []);
  assertEquals(await Promise.all(net.hosts.map((host) => subnetEnv(host))), before);
  const records = await etcd.ctl("get", "--prefix", "/coreos.com/network/subnets/");
  for (const host of net.hosts) assertMatch(records, new RegExp(`"PublicIP":"${host.ip}"`));
  assertMatch(daemons[0]!.text, /v3/);
});
