/**
 * etcd loses its memory while the network works on: restored from a backup, compacted while nobody watched, defragmented under
 * load. The data path is never touched, so that nothing may be lost.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *   etcd on h1
 */
import { assert, assertEquals } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { followed, ghost, knows } from "../support/ghosts.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { CONFIG, standing } from "../support/overlay.ts";
import { poll, say } from "../support/process.ts";
import { SteadyTraffic } from "../support/steady_traffic.ts";
import { scenariosTogether, type Topology } from "../support/topology.ts";

const PREFIX = "/coreos.com/network";

async function oneMember(net: Topology): Promise<HostEtcd> {
  const etcd = await HostEtcd.start(net, [1]);
  await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify(CONFIG));
  return etcd;
}

async function restored(net: Topology): Promise<void> {
  const etcd = await oneMember(net);
  await etcd.ctl("put", ...ghost(101));
  const backup = `${net.directory}/backup`;
  await etcd.cluster.backup(backup);
  const daemons = [];
  for (const host of net.hosts) daemons.push(await launchReady(host, etcd.flags()));
  await etcd.ctl("put", ...ghost(102));
  await followed(net.hosts, 102);
  const subnets = await subnetsOf(net);
  const traffic = await SteadyTraffic.start(net, net.host(1), net.host(2));

  await etcd.kill(1);
  await etcd.cluster.restore(backup);
  const start = performance.now();
  await etcd.restart(1);
  await poll("both hosts' leases", 30_000, async () => {
    const keys = await etcd.ctl("get", "--prefix", "--keys-only", `${PREFIX}/subnets/`);
    return subnets.every((subnet) => keys.includes(subnet.replace("1/24", "0-24")));
  });
  say(`restored: both leases written again after ${Math.round(performance.now() - start)} ms`);
  await etcd.ctl("put", ...ghost(103));
  await followed(net.hosts, 103);
  assert((await standing(net.host(1))).includes("10.1.102.0/24"), "a peer that may come back is dropped");
  await etcd.ctl("put", ghost(102)[0], ghost(104)[1]);
  await poll("the other host that has the subnet now", 10_000, async () => {
    const text = await standing(net.host(1));
    return text.includes("192.168.64.104") && !text.includes("192.168.64.102");
  });
  assertEquals(await subnetsOf(net), subnets);
  assert(daemons.every((daemon) => daemon.running));
  assert((await standing(net.host(1))).includes("10.1.101.0/24"));
  await traffic.stopWhole("restored from a backup");
}

/** h2 is away while peers go and come and the history of that is dropped. */
async function compacted(net: Topology): Promise<void> {
  const [h1, h2] = [net.host(1), net.host(2)];
  const etcd = await oneMember(net);
  await etcd.ctl("put", ...ghost(101));
  const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, etcd.flags())));
  await followed(net.hosts, 101);
  const traffic = await SteadyTraffic.start(net, h1, h2);
  await h2.sh(way("-I"));
  await etcd.ctl("del", ghost(101)[0]);
  await daemons[1]!.line(/the store is out of reach/);
  await etcd.ctl("put", ...ghost(102));
  const { header } = JSON.parse(await etcd.ctl("get", "-w", "json", "x"));
  await etcd.ctl("compact", "--physical", String(header.revision));
  await followed([h1], 102);
  assertEquals(await knows(h2, 101), true);
  await h2.sh(way("-D"));
  const ms = await Promise.all([followed([h2], 102), followed([h2], 101, false)]);
  say(`compacted while one was away: it has caught up after ${Math.max(...ms)} ms`);
  await daemons[1]!.line(/compacted/);
  await traffic.stopWhole("compacted while one was away");
}

/** Cuts the way to etcd in both directions, or mends it. */
function way(verb: "-I" | "-D"): string {
  return `
    iptables -w ${verb} INPUT -p tcp --sport 2379 -j DROP
    iptables -w ${verb} OUTPUT -p tcp --dport 2379 -j REJECT --reject-with tcp-reset`;
}

/** Thirty megabytes of others' keys come and go, and the member stands still again and again to tidy up. */
async function defragmented(net: Topology): Promise<void> {
  const etcd = await oneMember(net);
  const daemons = await Promise.all(net.hosts.map((host) => launchReady(host, etcd.flags())));
  const traffic = await SteadyTraffic.start(net, net.host(1), net.host(2));
  let loading = true;
  const load = (async () => {
    const filler = "x".repeat(8_000);
    for (let i = 0; loading; i++) {
      await etcd.cluster.transact(
        Array.from({ length: 100 }, (_, n) => `put /load/${i % 40}/${n} "${filler}"`),
      );
    }
  })();
  // What fails below ends etcd, too; that is not what is to be told then.
  load.catch(() => {});
  const slowest = { defrag: 0, peer: 0 };
  for (let number = 101; number <= 105; number++) {
    const start = performance.now();
    await etcd.ctl("defrag");
    slowest.defrag = Math.max(slowest.defrag, Math.round(performance.now() - start));
    await etcd.ctl("put", ...ghost(number));
    slowest.peer = Math.max(slowest.peer, await followed(net.hosts, number));
  }
  loading = false;
  await load;
  say(`defragmented: ${slowest.defrag} ms at most, a new peer is known after ${slowest.peer} ms at most`);
  for (const daemon of daemons) assert(!daemon.text.includes("out of reach"), daemon.text);
  await traffic.stopWhole("defragmented under load");
}

async function subnetsOf(net: Topology): Promise<string[]> {
  return await Promise.all(net.hosts.map(async (host) => (await subnetEnv(host)).FLANNEL_SUBNET!));
}

scenariosTogether("fault: etcd is restored, compacted, defragmented; no packet is lost", [
  [{ hosts: 2 }, restored],
  [{ hosts: 2 }, compacted],
  [{ hosts: 2 }, defragmented],
]);
