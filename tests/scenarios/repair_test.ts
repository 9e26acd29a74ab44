/**
 * What somebody deletes or changes by hand comes back by itself; what is not ours stays as it is.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ── 192.168.64.0/24 ── eth0 ─ h2 ── cbr0 ── c2
 *                 └─ flannel.1 ───────────────── flannel.1 ─┘
 *
 * The damage is done on h1 while its daemon is stopped with SIGSTOP, so that the test can see it; the clock runs from SIGCONT
 * to the moment at which everything stands as before.
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { CONFIG, containerOn, linkOf, peerRecord, sqliteArgs, standing } from "../support/overlay.ts";
import { poll, type Process, say } from "../support/process.ts";
import { type Host, scenario } from "../support/topology.ts";
import { reachable } from "../support/traffic.ts";

/** Longer than the slow full read-back of the firewall (`-iptables-resync`, 5 s). */
const DEADLINE = 15_000;

/** $PEER is the peer's subnet, $GATEWAY its network address, $VTEP the peer's MAC. */
const damages: Record<string, string> = {
  "route deleted": "ip route del $PEER",
  "route replaced by a blackhole": "ip route del $PEER; ip route add blackhole $PEER proto 85",
  "all routes of the device flushed": "ip route flush dev flannel.1",
  "neighbour deleted": "ip neigh del $GATEWAY dev flannel.1",
  "neighbour changed": "ip neigh replace $GATEWAY lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent",
  "FDB entry deleted": "bridge fdb del $VTEP dev flannel.1",
  "FDB entry moved": "bridge fdb replace $VTEP dev flannel.1 dst 192.168.64.77 self permanent",
  "device set down": "ip link set flannel.1 down",
  "device deleted": "ip link del flannel.1",
  "device's address deleted": "ip address flush dev flannel.1",
  "device's MAC rewritten": "ip link set flannel.1 address 02:00:00:00:00:99",
  "device's MTU changed": "ip link set flannel.1 mtu 1300",
  "device's learning switched on": "ip link set flannel.1 type vxlan learning",
  "forward chain flushed": "iptables -F FLANNEL-FWD",
  "forward jump deleted": "iptables -S FORWARD | sed -n 's/^-A \\(.*FLANNEL-FWD\\)/iptables -D \\1/p' | sh",
  "masquerade chain deleted":
    "iptables -t nat -F POSTROUTING; iptables -t nat -F FLANNEL-POSTRTG; iptables -t nat -X FLANNEL-POSTRTG",
  "masquerade rules out of order": "iptables -t nat -I FLANNEL-POSTRTG -j ACCEPT",
};

scenario("repair: what was deleted or changed by hand comes back", { hosts: 2 }, async (net) => {
  const args = [...await sqliteArgs(net), "-ip-masq"];
  const [h1, h2] = [net.host(1), net.host(2)];
  const daemon = await launchReady(h1, args);
  await launchReady(h2, args);
  const c1 = await containerOn(net, h1);
  const c2 = await containerOn(net, h2);
  await reachable(c1, c2.address);
  const variables = await peerVariables(h2);
  for (const [what, script] of Object.entries(damages)) {
    const ms = await timeToRepair(what, h1, daemon, `${variables}\n${script}`);
    say(`${what}: repaired in ${ms} ms`);
    await reachable(c1, c2.address, 2000);
  }
});

scenario("repair: the underlay's MTU is followed", { hosts: 2 }, async (net) => {
  const args = await sqliteArgs(net);
  const [h1] = net.hosts as [Host];
  await launchReady(h1, args);
  assertEquals((await linkOf(h1)).mtu, 1450);
  for (const mtu of [1400, 1500]) {
    await h1.run(["ip", "link", "set", "eth0", "mtu", String(mtu)]);
    await poll(`MTU ${mtu - 50} on flannel.1`, DEADLINE, async () => (await linkOf(h1)).mtu === mtu - 50);
    await poll(`MTU ${mtu - 50} in subnet.env`, DEADLINE, async () => {
      return (await subnetEnv(h1)).FLANNEL_MTU === String(mtu - 50);
    });
  }
});

scenario("repair: foreign objects stay as they are", { hosts: 2 }, async (net) => {
  const args = [...await sqliteArgs(net), "-ip-masq"];
  const [h1, h2] = [net.host(1), net.host(2)];
  await h1.sh(FOREIGN);
  const before = await h1.run(["sh", "-c", SHOW_FOREIGN]);
  const daemon = await launchReady(h1, args);
  await launchReady(h2, args);
  await h1.sh(FOREIGN_ON_DEVICE);
  const onDevice = await h1.run(["sh", "-c", SHOW_FOREIGN_ON_DEVICE]);
  assertEquals(onDevice.trim().split("\n").length, 4);

  // Not just any route of the device: a foreign one stands there already. The route is what a round makes last.
  const toH2 = `${(await subnetEnv(h2)).FLANNEL_SUBNET!.replace(/1\/24$/, "0/24")} via`;
  await poll("the route to h2", DEADLINE, async () => (await standing(h1)).includes(toH2));
  await timeToRepair(
    "route and rule",
    h1,
    daemon,
    "ip route flush dev flannel.1 proto 85; iptables -F FLANNEL-FWD",
  );
  await daemon.stop();
  await launchReady(h1, args);
  assertEquals(await h1.run(["sh", "-c", SHOW_FOREIGN]), before);
  assertEquals(await h1.run(["sh", "-c", SHOW_FOREIGN_ON_DEVICE]), onDevice);
});

scenario(
  "repair: a peer that vanished while the daemon was down is pruned at start",
  { hosts: 1 },
  async (net) => {
    const [host] = net.hosts as [Host];
    const etcd = await HostEtcd.start(net);
    await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
    const vanishing = "/coreos.com/network/subnets/10.1.50.0-24";
    await etcd.ctl("put", vanishing, peerRecord("192.168.64.50", "02:00:00:00:00:50"));
    await etcd.ctl(
      "put",
      "/coreos.com/network/subnets/10.1.51.0-24",
      peerRecord("192.168.64.51", "02:00:00:00:00:51"),
    );
    const daemon = await launchReady(host, etcd.flags());
    await poll("both peers", DEADLINE, async () => /10\.1\.50\.0.*10\.1\.51\.0/s.test(await standing(host)));
    await host.sh("ip route add 10.1.52.0/24 dev flannel.1 proto static");
    assertEquals(await daemon.stop(), 0);
    await etcd.ctl("del", vanishing);
    assertEquals(mentions(await standing(host), "50").length, 3, "nothing is pruned without the daemon");
    await launchReady(host, etcd.flags());
    await poll("the prune", DEADLINE, async () => mentions(await standing(host), "50").length === 0);
    assertEquals(mentions(await standing(host), "51").length, 3);
    assertEquals(mentions(await standing(host), "52").length, 1);
  },
);

/** The objects that belong to the peer with this number: route, neighbour, FDB entry. */
function mentions(text: string, number: string): string[] {
  const marks = [`10.1.${number}.0`, `192.168.64.${number} `, `02:00:00:00:00:${number}`];
  return text.split("\n").filter((line) => marks.some((mark) => line.includes(mark)));
}

/** Damages the host with the daemon held, and returns how long the daemon took once it was let go, in milliseconds. */
async function timeToRepair(what: string, host: Host, daemon: Process, script: string): Promise<number> {
  const before = await standing(host);
  daemon.signal("SIGSTOP");
  await host.sh(script);
  const damaged = await standing(host);
  const start = performance.now();
  daemon.signal("SIGCONT");
  assertNotEquals(damaged, before, `${what}: nothing was damaged`);
  await poll(`the repair of: ${what}`, DEADLINE, async () => await standing(host) === before)
    .catch(async (error) => {
      assertEquals(await standing(host), before, `${what}: ${error.message}`);
    });
  return Math.round(performance.now() - start);
}

async function peerVariables(peer: Host): Promise<string> {
  const gateway = (await subnetEnv(peer)).FLANNEL_SUBNET!.replace(/1\/24$/, "0");
  return `PEER=${gateway}/24 GATEWAY=${gateway} VTEP=${(await linkOf(peer)).address}`;
}

/** Inside our Network and outside; with upstream's protocol and an administrator's. */
const FOREIGN = `
ip link add admin0 type bridge
ip address add 10.250.0.1/24 dev admin0
ip link set admin0 up
ip route add 10.1.200.0/24 via 192.168.64.1 proto static
ip route add 172.20.0.0/16 via 192.168.64.1
ip neigh add 192.168.64.99 lladdr 02:00:00:00:00:98 dev eth0 nud permanent
iptables -N MINE
iptables -A MINE -s 10.1.0.0/16 -j RETURN
iptables -A FORWARD -j MINE
iptables -t nat -A POSTROUTING -s 10.250.0.0/24 -j MASQUERADE`;

const SHOW_FOREIGN = `
ip -4 address show dev admin0 | grep inet
ip route show 10.1.200.0/24
ip route show 172.20.0.0/16
ip neigh show 192.168.64.99
iptables -S | grep MINE
iptables -t nat -S | grep 10.250.0.0`;

const FOREIGN_ON_DEVICE = `
ip address add 10.251.0.1/32 dev flannel.1
ip neigh add 10.251.0.2 lladdr 02:00:00:00:00:97 dev flannel.1 nud permanent
bridge fdb add 00:00:00:00:00:00 dev flannel.1 dst 192.168.64.77 self permanent
ip route add 10.251.0.0/24 dev flannel.1 proto static`;

const SHOW_FOREIGN_ON_DEVICE = `
ip -o -4 address show dev flannel.1 | grep -o '10.251.0.1/32'
ip neigh show 10.251.0.2
bridge fdb show dev flannel.1 | grep 00:00:00:00:00:00
ip route show 10.251.0.0/24`;
