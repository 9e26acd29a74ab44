/**
 * Whose a subnet is while other things go wrong: the store is away, or restored, during a trial; hosts that sleep too long, restart
 * again and again, or lose their disk; devices of an earlier release; somebody who rewrites records without end. Host 1 has etcd and
 * takes no part.
 *
 *   h1: etcd    h2 ── c2    h3 ── c3    h4 ── c4
 */
import { assert, assertEquals } from "@std/assert";
import { health, launch, launchReady, STATE_DIRECTORY, subnetEnv } from "../support/daemon.ts";
import {
  allReachAll,
  forget,
  idOf,
  notReady,
  onEtcd,
  PORT,
  quiet,
  ready,
  renumber,
  startTwo,
  subnetOf,
  SUBNETS,
} from "../support/identity_cluster.ts";
import type { EtcdCluster } from "../support/etcd.ts";
import { linkOf } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";

/** Milliseconds of unbroken contact that a trial takes. */
const TRIAL = 15_000;

/** A host without a disk comes back while etcd does not answer: its trial begins when etcd does. */
async function storeAwayDuringTrial(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args, etcd } = cluster;
  const { h2, h4, two, subnet } = await startTwo(net, cluster);
  assertEquals(await two.stop("SIGKILL"), 137);
  await forget(h2);
  const again = launch(h2, args);
  await notReady(h2, "on trial");
  const [member] = etcd.members;
  await member!.kill();
  await again.line(/the store is out of reach/);
  await poll("the trial's time to be over", 2 * TRIAL, pastSince(performance.now() + TRIAL));
  assertEquals((await health(h2, "/readyz", PORT)).status, 503);
  const answers = performance.now();
  member!.launch();
  await etcd.ready();
  await again.line(/nobody objects to our having/);
  const waited = performance.now() - answers;
  assert(waited > TRIAL, `the trial was over ${waited} ms after etcd came back`);
  await ready(h2);
  assertEquals(await subnetOf(h2), subnet);
  await allReachAll(net, [h2, h4]);
}

/** A backup from before the trial is restored in the middle of it: what was written is gone, and is taken once more. */
async function restoredDuringTrial(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args, etcd } = cluster;
  const { h2, h4, two, subnet } = await startTwo(net, cluster);
  const backup = `${net.directory}/backup`;
  await etcd.backup(backup);
  assertEquals(await two.stop("SIGKILL"), 137);
  await forget(h2);
  launch(h2, args);
  await notReady(h2, "on trial");
  const [member] = etcd.members;
  await member!.kill();
  await etcd.restore(backup);
  member!.launch();
  await etcd.ready();
  await ready(h2);
  await allReachAll(net, [h2, h4]);
  assertEquals(await subnetOf(h2), subnet);
  await quiet(cluster);
}

/** Two hosts are put into a dead one's place at once. */
async function twoInThePlaceOfOne(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args } = cluster;
  const [h2, h3, h4] = [net.host(2), net.host(3), net.host(4)];
  const two = await launchReady(h2, args);
  const [ip, subnet] = [h2.ip, await subnetOf(h2)];
  assertEquals(await two.stop("SIGKILL"), 137);
  await h2.sh("ip link set eth0 down");
  const others = [h3, h4].map((host) => launch(host, [...args, `-public-ip=${ip}`]));
  await Promise.all([h3, h4].map((host) => notReady(host, "publishes our address")));
  await poll("both have a subnet", 60_000, async () => (await recordsAt(cluster.etcd, ip)).length === 2);
  await quiet(cluster);
  // One of them is set right.
  assertEquals(await others[1]!.stop(), 0);
  launch(h4, args);
  await Promise.all([h3, h4].map(ready));
  const subnets = [await subnetOf(h3), await subnetOf(h4)];
  assert(subnets.includes(subnet) && subnets[0] !== subnets[1], subnets.join(" "));
}

/** A machine sleeps past its lease's end; another host has taken the subnet by then. */
async function sleptTooLong(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args, etcd } = cluster;
  const { h2, h3, h4, two } = await startTwo(net, cluster);
  const env = await subnetEnv(h2);
  two.signal("SIGSTOP");
  await etcd.ctl("del", keyOf(env.FLANNEL_SUBNET!));
  // As if it had had it once.
  const text = Object.entries(env).map(([name, value]) => `${name}=${value}\n`).join("");
  await h3.sh("mkdir -p /run/flannel && cat > /run/flannel/subnet.env", { input: text });
  await launchReady(h3, args);
  assertEquals(await subnetOf(h3), env.FLANNEL_SUBNET);
  two.signal("SIGCONT");
  await two.line(/our lease .* belongs to .*; taking another subnet/);
  await Promise.all([h2, h3, h4].map(ready));
  assertEquals(await subnetOf(h3), env.FLANNEL_SUBNET);
  await allReachAll(net, [h2, h3, h4]);
  await quiet(cluster);
}

/** Somebody rewrites whatever host 2 has, ten times a second, as if it were a stranger's. */
async function rewrittenWithoutEnd(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args, etcd } = cluster;
  const [h2, h3, h4] = [net.host(2), net.host(3), net.host(4)];
  const two = await launchReady(h2, args);
  await Promise.all([h3, h4].map((host) => launchReady(host, args)));
  const traffic = await SteadyTraffic.start(net, h4, h3);
  const id = await idOf(h2);
  const over = pastSince(performance.now() + 30_000);
  let rewritten = 0;
  await poll("the writer's end", 60_000, async () => {
    for (const key of await keysOf(etcd, id)) {
      await etcd.ctl("put", key, JSON.stringify({ PublicIP: "192.168.64.200", BackendType: "vxlan" }));
      rewritten++;
    }
    return over();
  });
  assert(rewritten >= 3 && rewritten <= 12, `host 2 came back ${rewritten} times in 30 s`);
  assert(two.text.includes("taking another subnet"));
  await poll("host 2 has a record again", 70_000, async () => (await keysOf(etcd, id)).length === 1);
  await ready(h2);
  await traffic.stopWhole("somebody rewrites a third host's record");
  await quiet(cluster);
  await allReachAll(net, [h2, h3, h4]);
}

/** As a copy of the running machine would: our record is written again as it stands. */
async function writtenInOurName(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { etcd } = cluster;
  const { h2, h4, two, subnet } = await startTwo(net, cluster);
  const traffic = await SteadyTraffic.start(net, h4, h2);
  const [key] = await keysOf(etcd, await idOf(h2));
  const value = (await etcd.ctl("get", "--print-value-only", key!)).trim();
  await etcd.ctl("put", "--ignore-lease", key!, value);
  await two.line(/was written in our name, and not by us/);
  await poll(
    "a new run",
    10_000,
    async () => (await etcd.ctl("get", "--print-value-only", key!)).trim() !== value,
  );
  await ready(h2);
  assertEquals(await subnetOf(h2), subnet);
  await traffic.stopWhole("our record is written in our name");
  await quiet(cluster);
}

/** A host without a disk is started again and again at the address of one that runs. */
async function restartLoop(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args } = cluster;
  const { h2, h3, h4, subnet } = await startTwo(net, cluster);
  const traffic = await SteadyTraffic.start(net, h4, h2);
  const before = await revisionOf(cluster.etcd);
  for (let start = 0; start < 4; start++) {
    const three = launch(h3, [...args, `-public-ip=${h2.ip}`]);
    // From the second start on there is what the one before left at this address.
    await three.line(/which had it before; taking another subnet|nobody objects to our having/);
    if (start === 0) say(`another host tried our subnet: back after ${millisecondsOfTrial(three.lines)} ms`);
    await three.stop("SIGKILL");
    await forget(h3);
  }
  assertEquals(await subnetOf(h2), subnet);
  await traffic.stopWhole("another host tries the subnet of the one that answers, four times");
  await quiet(cluster);
  const writes = await revisionOf(cluster.etcd) - before;
  say(`four starts of a host at another's address: ${writes} writes to etcd`);
  assert(writes <= 20, `${writes} writes`);
}

/** The state directory can't be written: told once, and nothing else comes of it until a reboot. */
async function readOnlyState(net: Topology): Promise<void> {
  const { args } = await onEtcd(net, "v3", "vxlan");
  const [h2, h4] = [net.host(2), net.host(4)];
  await h2.sh(`mkdir -p ${STATE_DIRECTORY} && mount -t tmpfs -o ro tmpfs ${STATE_DIRECTORY}`);
  const two = await launchReady(h2, args);
  await launchReady(h4, args);
  const subnet = await subnetOf(h2);
  assertEquals(two.lines.filter((line) => line.includes(STATE_DIRECTORY)).length, 1, two.text);
  assertEquals(await two.stop("SIGKILL"), 137);
  const again = await launchReady(h2, args);
  assert(!again.text.includes("on trial"), again.text);
  assertEquals(await subnetOf(h2), subnet);
  await allReachAll(net, [h2, h4]);
}

/** A device that an earlier release made from the address which host 2 has now. */
async function leftOverMac(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args } = cluster;
  const { h2, h3, h4 } = await startTwo(net, cluster);
  const { address } = await linkOf(h2);
  const traffic = await SteadyTraffic.start(net, h4, h2);
  await h3.sh(`
    ip link add flannel.1 address ${address} type vxlan id 1 dev eth0 local ${h3.ip} dstport 8472 nolearning
    ip link set flannel.1 up`);
  const three = await launchReady(h3, args);
  await three.line(/another host has the MAC of our tunnel device; ours changes/);
  await allReachAll(net, [h2, h3, h4]);
  assertEquals((await linkOf(h2)).address, address);
  assert((await linkOf(h3)).address !== address);
  await traffic.stopWhole("another host comes with the MAC of the one that answers");
  await quiet(cluster);
}

/** From a daemon that knew no ids, by a restart: the same subnet at once, the same device, no packet lost. */
async function upgrade(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args, etcd } = cluster;
  const [h2, h3] = [net.host(2), net.host(3)];
  const two = await launchReady(h2, args);
  await launchReady(h3, args);
  const [subnet, link] = [await subnetOf(h2), await linkOf(h2)];
  const traffic = await SteadyTraffic.start(net, h3, h2);
  assertEquals(await two.stop("SIGKILL"), 137);
  const [key] = await keysOf(etcd, await idOf(h2));
  const { Host: _, Run: __, Turn: ___, ...unmarked } = JSON.parse(
    await etcd.ctl("get", "--print-value-only", key!),
  );
  await etcd.ctl("put", "--ignore-lease", key!, JSON.stringify(unmarked));
  await h2.sh(`rm -rf ${STATE_DIRECTORY} /run/flannel/*host-id*`);
  const again = await launchReady(h2, args);
  assert(!again.text.includes("on trial"), again.text);
  assertEquals([await subnetOf(h2), await linkOf(h2)], [subnet, link]);
  assert((await keysOf(etcd, await idOf(h2))).includes(key!));
  await traffic.stopWhole("a daemon that knew no ids is replaced");
  await quiet(cluster);
}

/** Two hosts swap addresses while both run. */
async function swappedWhileUp(net: Topology): Promise<void> {
  const cluster = await onEtcd(net, "v3", "vxlan");
  const { args } = cluster;
  const [h2, h3, h4] = [net.host(2), net.host(3), net.host(4)];
  const daemons = await Promise.all([h2, h3, h4].map((host) => launchReady(host, args)));
  const subnets = [await subnetOf(h2), await subnetOf(h3)];
  await renumber(h2, h2.ip, h3.ip);
  await renumber(h3, h3.ip, h2.ip);
  await Promise.all(daemons.slice(0, 2).map((daemon) => daemon.line(/the underlay has changed/)));
  await Promise.all([h2, h3, h4].map(ready));
  await allReachAll(net, [h2, h3, h4]);
  assertEquals([await subnetOf(h2), await subnetOf(h3)], subnets);
  await quiet(cluster);
}

function pastSince(end: number): () => boolean {
  return () => performance.now() >= end;
}

/** The key of the record for a subnet as in FLANNEL_SUBNET: `10.1.60.1/24`. */
function keyOf(subnet: string): string {
  return `${SUBNETS}/${subnet.replace(/\.1\//, ".0-")}`;
}

/** Between taking the subnet and hearing that it is another's, by the log's own times. */
function millisecondsOfTrial(lines: readonly string[]): number {
  const at = (pattern: RegExp) => Date.parse(lines.find((line) => pattern.test(line))!.split(" ")[0]!);
  return at(/which had it before/) - at(/of another host; taking it/);
}

async function revisionOf(etcd: EtcdCluster): Promise<number> {
  return JSON.parse(await etcd.ctl("get", SUBNETS, "-w", "json")).header.revision;
}

async function recordsAt(etcd: EtcdCluster, publicIp: string): Promise<string[]> {
  const text = await etcd.ctl("get", "--prefix", `${SUBNETS}/`, "--print-value-only");
  return text.split("\n").filter((line) => line.includes(`"PublicIP":"${publicIp}"`));
}

/** The keys of the records with this id. */
async function keysOf(etcd: EtcdCluster, id: string): Promise<string[]> {
  const lines = (await etcd.ctl("get", "--prefix", `${SUBNETS}/`)).trim().split("\n");
  return lines.flatMap((line, i) => line.includes(`"Host":"${id}"`) ? lines[i - 1]! : []);
}

function together(name: string, bodies: readonly ((net: Topology) => Promise<void>)[]): void {
  scenariosTogether(`identity: ${name}`, bodies.map((body) => [{ hosts: 4 }, body] as const));
}

together(
  "trials while the store is away, or restored; what an earlier release left, addresses swapped at work",
  [
    storeAwayDuringTrial,
    restoredDuringTrial,
    twoInThePlaceOfOne,
    readOnlyState,
    leftOverMac,
    upgrade,
    swappedWhileUp,
  ],
);
together("hosts that sleep, restart in a loop, or find their record rewritten", [
  sleptTooLong,
  rewrittenWithoutEnd,
  writtenInOurName,
  restartLoop,
]);
