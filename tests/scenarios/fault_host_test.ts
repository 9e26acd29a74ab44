/**
 * What can go wrong on a host beside the network: the disk of subnet.env is full, somebody starts a second daemon, settings of
 * the kernel can't be written.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { health, launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { overlayRules } from "../support/firewall_listing.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { CONFIG, linkOf, sqliteArgs, standing } from "../support/overlay.ts";
import { pause, poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { type Host, scenariosTogether, type Topology } from "../support/topology.ts";
import { reachable } from "../support/traffic.ts";

/** Long enough to see a message that is repeated at every try. */
const QUIET = 4_000;

const FILL =
  "mkdir -p /run/flannel; mount -t tmpfs -o size=16k tmpfs /run/flannel; cat /dev/zero > /run/flannel/rest || true";

/** Full when the daemon starts, and full again when there is something new to say. */
async function fullDisk(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const args = [...await sqliteArgs(net), "-healthz-port=300"];
  await launchReady(h2, args);
  await h1.sh(FILL);
  const daemon = launch(h1, args);
  const says = /subnet\.env": no space left on device; make room/;
  await daemon.line(says);
  assertMatch(await unready(h1), /subnet file is not written/);
  await pause(QUIET);
  assertEquals(daemon.lines.filter((line) => says.test(line)).length, 1, daemon.text);
  assertEquals((await h1.run(["ls", "-A", "/run/flannel"])).trim(), "rest", "half a file is left");
  await ready(h1, "room for the first file");

  const traffic = await SteadyTraffic.start(net, h1, h2);
  const env = await subnetEnv(h1);
  await h1.sh("cat /dev/zero > /run/flannel/rest || true; ip link set eth0 mtu 1400");
  await poll("a second complaint", 10_000, () => daemon.lines.filter((line) => says.test(line)).length === 2);
  assertEquals(await subnetEnv(h1), env, "the old file is not whole any more");
  await unready(h1);
  await ready(h1, "room for the next file");
  assertEquals((await subnetEnv(h1)).FLANNEL_MTU, "1350");
  await traffic.stopWhole("a full disk");
}

async function unready(host: Host): Promise<string> {
  const { status, body } = await health(host, "/readyz");
  assertEquals(status, 503, body);
  return body;
}

/** Makes room; says how long it took until the daemon was ready. */
async function ready(host: Host, what: string): Promise<void> {
  const start = performance.now();
  await host.run(["rm", "/run/flannel/rest"]);
  await poll("readiness", 40_000, async () => (await health(host, "/readyz")).status === 200);
  say(`${what}: ready after ${Math.round(performance.now() - start)} ms`);
}

const BLUE = { Network: "10.2.0.0/16", Backend: { Type: "vxlan", VNI: 2 } };

/** A second one is refused by name; with a name, a file and a prefix of its own it has a network of its own. */
async function secondDaemon(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const etcd = await HostEtcd.start(net, [1]);
  await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
  await etcd.ctl("put", "/blue/config", JSON.stringify(BLUE));
  const args = [...etcd.flags(), "-ip-masq"];
  const first = await Promise.all(net.hosts.map((host) => launchReady(host, args)));
  const traffic = await SteadyTraffic.start(net, h1, h2);
  const before = await firstOf(h1);

  const refused = launch(h1, args);
  assertEquals(await refused.ended(), 1);
  assertMatch(refused.text, /start daemon "default": one of this name runs .*--instance/);
  assertEquals(await firstOf(h1), before);

  const file = "/run/blue/subnet.env";
  const blue = [...args, "-etcd-prefix=/blue", "-instance=blue", `-subnet-file=${file}`];
  const second = await Promise.all(net.hosts.map((host) => launchReady(host, blue)));
  const address = (await subnetEnv(h2, file)).FLANNEL_SUBNET!.replace(/1\/24$/, "0");
  await reachable(h1, address);
  assertEquals(await firstOf(h1), before);

  await h1.sh("ip link del flannel.2; iptables -F FLANNEL-FWD-blue");
  await reachable(h1, address);
  await second[0]!.stop("SIGKILL");
  await launchReady(h1, blue);
  await first[0]!.stop("SIGKILL");
  await launchReady(h1, args);
  assertEquals((await linkOf(h1, "flannel.2")).linkinfo.info_data.id, 2);
  await reachable(h1, address);
  assertEquals(await firstOf(h1), before);
  assert(first[1]!.running && second[1]!.running);
  await traffic.stopWhole("a second daemon beside the first");
}

/** What the first daemon keeps on a host. */
async function firstOf(host: Host): Promise<string[]> {
  const rules = await overlayRules(host, "10.1.");
  return [...(await standing(host)).split("\n"), ...rules].filter((line) => !/blue|10\.2\./i.test(line));
}

/** As in a container with CAP_NET_ADMIN that is not privileged. */
async function closedSettings(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  await h1.sh("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys");
  const args = [...await sqliteArgs(net), "-healthz-port=300"];
  const daemon = await launchReady(h1, args);
  await launchReady(h2, args);
  const traffic = await SteadyTraffic.start(net, h1, h2);
  await poll("readiness", 10_000, async () => (await health(h1, "/readyz")).status === 200);
  await pause(QUIET);
  const { body } = await health(h1, "/readyz");
  assertMatch(body, /accept_ra = 0: read-only file system; .*from outside/);
  const told = daemon.lines.filter((line) => /flannel\.1\/accept_ra/.test(line));
  assertEquals(told.length, 1, daemon.text);
  assertMatch(told[0]!, /warn .*packets flow without it/);
  await traffic.stopWhole("settings that can't be written");
}

scenariosTogether("fault: the disk is full; a second daemon is started; settings can't be written", [
  [{ hosts: 2 }, fullDisk],
  [{ hosts: 2 }, secondDaemon],
  [{ hosts: 2 }, closedSettings],
]);
