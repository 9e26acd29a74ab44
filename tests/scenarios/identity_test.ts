/**
 * Who a host is, with real daemons on each store: addresses that are copied, swapped and handed on, disks that are copied and lost.
 * Host 1 has etcd and takes no part; host 4 is the one that must not notice.
 *
 *   h1: etcd    h2 ── c2    h3 ── c3    h4 ── c4
 */
import { assert, assertEquals } from "@std/assert";
import { launch, launchReady } from "../support/daemon.ts";
import {
  allReachAll,
  copyDisk,
  forget,
  idOf,
  type Kind,
  notReady,
  openCluster,
  quiet,
  ready,
  renumber,
  startTwo,
  subnetOf,
} from "../support/identity_cluster.ts";
import { linkOf } from "../support/overlay.ts";
import type { Process } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";

/** A unit file that was copied, with its -public-ip. */
async function copiedAddress(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const [h2, h3, h4] = [net.host(2), net.host(3), net.host(4)];
  const two = await launchReady(h2, cluster.args);
  const three = await launchReady(h3, cluster.args);
  await launchReady(h4, cluster.args);
  const traffic = await SteadyTraffic.start(net, h4, h2);
  const subnets = [await subnetOf(h2), await subnetOf(h3)];
  assertEquals(await three.stop(), 0);
  const wrong = launch(h3, [...cluster.args, `-public-ip=${h2.ip}`]);
  await notReady(h2, "publishes our address");
  await notReady(h3, "is our own");
  await quiet(cluster);
  assertEquals(await wrong.stop(), 0);
  await launchReady(h3, cluster.args);
  await Promise.all([ready(h2), ready(h3)]);
  await two.line(/nobody else publishes our address any more/);
  await traffic.stopWhole("another host takes the address of the one that answers");
  assertEquals([await subnetOf(h2), await subnetOf(h3)], subnets);
}

/** Host 2 moves on while it runs; a host that is new gets its old address. */
async function addressHandedOn(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const { h2, h3, h4, two, subnet } = await startTwo(net, cluster);
  await renumber(h2, h2.ip, "192.168.64.75");
  await two.line(/the underlay has changed/);
  await renumber(h3, h3.ip, h2.ip);
  await launchReady(h3, cluster.args);
  await Promise.all([h2, h3, h4].map(ready));
  await allReachAll(net, [h2, h3, h4]);
  assertEquals(await subnetOf(h2), subnet);
  const macs = backend === "vxlan"
    ? await Promise.all([h2, h3].map(async (host) => (await linkOf(host)).address))
    : [];
  assertEquals(new Set(macs).size, macs.length);
  await quiet(cluster);
}

/** The disk of a machine that runs is started on another. */
async function diskOfTheLiving(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const { h2, h3, h4, two, subnet } = await startTwo(net, cluster);
  await copyDisk(h2, h3);
  const three = launch(h3, cluster.args);
  await two.line(/it is a copy of this host; taking it back/);
  await three.line(/it is a copy of this host, or we are one of it; taking another subnet/);
  await Promise.all([h2, h3].map(ready));
  await allReachAll(net, [h2, h3, h4]);
  assertEquals(await subnetOf(h2), subnet);
  assert(await subnetOf(h3) !== subnet);
  assert(await idOf(h3) !== await idOf(h2));
  await quiet(cluster);
}

/** The disk of a machine that is gone is put into another. */
async function diskOfTheDead(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const { h2, h3, h4, two, subnet } = await startTwo(net, cluster);
  await copyDisk(h2, h3);
  assertEquals(await two.stop("SIGKILL"), 137);
  await h2.sh("ip link set eth0 down");
  await launchReady(h3, cluster.args);
  assertEquals(await subnetOf(h3), subnet);
  await ready(h3);
  await allReachAll(net, [h3, h4]);
}

/** Everything that host 2 remembers is lost: it is known by its address, and waits for an objection. */
async function reborn(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const { h2, h4, two, subnet } = await startTwo(net, cluster);
  const before = await idOf(h2);
  await two.stop("SIGKILL");
  await forget(h2);
  const again: Process = launch(h2, cluster.args);
  await notReady(h2, "on trial");
  assertEquals((await h2.run(["ls", "/run/flannel"])).includes("subnet.env\n"), false);
  await again.line(/nobody objects to our having/);
  await ready(h2);
  assertEquals(await subnetOf(h2), subnet);
  assert(await idOf(h2) !== before);
  await allReachAll(net, [h2, h4]);
}

/** Two hosts swap addresses while they are down. */
async function swapped(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const [h2, h3, h4] = [net.host(2), net.host(3), net.host(4)];
  const daemons = [await launchReady(h2, cluster.args), await launchReady(h3, cluster.args)];
  await launchReady(h4, cluster.args);
  const subnets = [await subnetOf(h2), await subnetOf(h3)];
  for (const daemon of daemons) assertEquals(await daemon.stop(), 0);
  await renumber(h2, h2.ip, h3.ip);
  await renumber(h3, h3.ip, h2.ip);
  await Promise.all([h2, h3].map((host) => launchReady(host, cluster.args)));
  await Promise.all([h2, h3, h4].map(ready));
  await allReachAll(net, [h2, h3, h4]);
  assertEquals([await subnetOf(h2), await subnetOf(h3)], subnets);
  await quiet(cluster);
}

/** A new host comes up with the address of one that runs (Vagrant's 10.0.2.15). */
async function twin(net: Topology, kind: Kind, backend: string): Promise<void> {
  const cluster = await openCluster(net, kind, backend);
  const { h2, h3, h4, two, subnet } = await startTwo(net, cluster);
  const traffic = await SteadyTraffic.start(net, h4, h2);
  const three = launch(h3, [...cluster.args, `-public-ip=${h2.ip}`]);
  await two.line(/tried to take our subnet/);
  await three.line(/which had it before; taking another subnet/);
  await notReady(h2, "publishes our address");
  assertEquals(await subnetOf(h2), subnet);
  await traffic.flows();
  await traffic.stop();
  await quiet(cluster);
}

const bodies = [addressHandedOn, diskOfTheLiving, diskOfTheDead, reborn, swapped];
/** An address that is not the host's own; host-gw refuses that. */
const elsewhere = [copiedAddress, twin];

for (
  const [kind, backend] of [["v3", "vxlan"], ["v2", "host-gw"], ["sqlite", "vxlan"], ["both", "udp"]] as const
) {
  scenariosTogether(
    `identity: addresses and disks that change hands, ${backend} on ${kind}`,
    [...bodies, ...backend === "host-gw" ? [] : elsewhere].map((body) =>
      [{ hosts: 4 }, (net: Topology) => body(net, kind, backend)] as const
    ),
  );
}
