/**
 * Members of etcd are killed, frozen and cut off, leader and follower, always the one that a daemon is connected to; then most of
 * them at once. The daemons go on with another member, and the data path is never touched, so that nothing may be lost.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *   etcd on h1, h2 and h3
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { launch, launchReady } from "../support/daemon.ts";
import { startCluster, withoutMajority } from "../support/etcd_faults.ts";
import { followed, ghost, knows } from "../support/ghosts.ts";
import type { HostEtcd } from "../support/host_etcd.ts";
import { standing } from "../support/overlay.ts";
import { type Process, say } from "../support/process.ts";
import { type Host, scenariosTogether, type Topology } from "../support/topology.ts";

/** How long a cluster is without a majority, milliseconds; the long tier has it for minutes. */
const WITHOUT_MAJORITY = 20_000;

type Fault = (etcd: HostEtcd, member: number) => Promise<() => Promise<void>>;

const kill: Fault = async (etcd, member) => {
  await etcd.kill(member);
  return () => etcd.restart(member);
};

const freeze: Fault = (etcd, member) => {
  etcd.member(member).freeze();
  return Promise.resolve(() => Promise.resolve(etcd.member(member).thaw()));
};

/** A peer comes while a member is out; everybody has to learn of it, and to be told again when the member is back. */
function losing(what: string, fault: Fault): (net: Topology) => Promise<void> {
  return async (net) => {
    const { etcd, hosts, daemons, traffic } = await startCluster(net);
    let number = 100;
    for (const role of ["follower", "leader"] as const) {
      const member = await etcd.usedBy(hosts[0]);
      await etcd.lead(member, role === "leader");
      const mend = await fault(etcd, member);
      await etcd.elected(etcd.others(member));
      await etcd.ctlOn(etcd.others(member), "put", ...ghost(++number));
      say(`${role} ${what}: a new peer is known after ${await followed(hosts, number)} ms`);
      await mend();
      await etcd.cluster.ready();
      await etcd.ctl("put", ...ghost(++number));
      await followed(hosts, number);
    }
    assert(daemons.every((daemon) => daemon.running));
    await traffic.stopWhole(`members ${what}`);
  };
}

async function cutOff(net: Topology): Promise<void> {
  const { etcd, hosts, daemons, traffic } = await startCluster(net);
  const [h1, h2] = hosts;
  await etcd.ctl("put", ...ghost(101));
  await followed(hosts, 101);
  const member = await etcd.usedBy(h1);
  const only = etcd.flags({ endpoints: etcd.member(member).url });
  await daemons[1]!.stop();
  await launchReady(h2, only);
  await etcd.isolate(member);
  await etcd.elected(etcd.others(member));
  await etcd.ctlOn(etcd.others(member), "del", ghost(101)[0]);
  await etcd.ctlOn(etcd.others(member), "put", ...ghost(102));
  say(`cut off: who has other members knows after ${await followed([h1], 102)} ms`);
  await followed([h1], 101, false);
  assertMatch(await stale(etcd, member), /10\.1\.101\.0/, "the member tells nothing stale");
  assertEquals([await knows(h2, 101), await knows(h2, 102)], [true, false]);
  const late = await lateStart(h2, only);
  await etcd.heal(member);
  const healed = await followed([h2], 102);
  await followed([h2], 101, false);
  say(`cut off: who has that member alone knows ${healed} ms after the end`);
  assert(late.running);
  await traffic.stopWhole("a member cut off");
}

/** What the member answers to who does not insist on the truth. */
function stale(etcd: HostEtcd, member: number): Promise<string> {
  return etcd.ctlOn(
    [member],
    "get",
    "--consistency=s",
    "--prefix",
    "--keys-only",
    "/coreos.com/network/subnets/",
  );
}

/** A daemon that is started again with nobody but the cut-off member waits, and leaves all as it is. */
async function lateStart(host: Host, args: readonly string[]): Promise<Process> {
  const before = await standing(host);
  const [running] = host.processes.filter(({ name, running }) => running && name.endsWith("flanneld"));
  await running!.stop("SIGKILL");
  const late = launch(host, args);
  await late.line(/The store does not answer/);
  assert(!late.text.includes("Found network config"), "a stale configuration is believed");
  assertEquals(await standing(host), before);
  return late;
}

scenariosTogether("fault: members of etcd are lost or lie; others serve, and no packet is lost", [
  [{ hosts: 3 }, losing("killed", kill)],
  [{ hosts: 3 }, losing("frozen", freeze)],
  [{ hosts: 3 }, (net) => withoutMajority(net, WITHOUT_MAJORITY)],
  [{ hosts: 3 }, cutOff],
]);
