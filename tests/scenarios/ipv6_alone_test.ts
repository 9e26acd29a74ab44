/**
 * IPv6 alone on a real etcd, on hosts that have no IPv4 address at all, beside one with both families. Containers talk, a restart
 * keeps the subnet and loses nothing, and the host with both gives IPv4 up.
 *
 *   c1 ── cbr0 ── h1: IPv6 ──┬── h2: IPv6 ── cbr0 ── c2
 *                            └── h3: both, etcd ── cbr0 ── c3
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { health, launch, launchReady, subnetEnv } from "../support/daemon.ts";
import { EtcdCluster } from "../support/etcd.ts";
import { ipv6ContainerOn, linkOf } from "../support/overlay.ts";
import { poll } from "../support/process.ts";
import { type Host, scenario, type Topology } from "../support/topology.ts";
import { reachable, startPing, unreachablePairs } from "../support/traffic.ts";

const PREFIX = "/coreos.com/network";
const SIX = { EnableIPv6: true, IPv6Network: "fd00:1::/48" };

/** On the last host, at both of its addresses; the others lose theirs of IPv4. */
async function startEtcd(net: Topology): Promise<EtcdCluster> {
  const { ip, ipv6, enter } = net.hosts.at(-1)!;
  const urls = `--listen-client-urls=http://${ip}:2379,http://[${ipv6}]:2379`;
  const members = [{ ip, ports: [2379, 2380] as const, enter }];
  for (const host of net.hosts.slice(0, -1)) await host.run(["ip", "-4", "address", "flush", "dev", "eth0"]);
  return net.use(await EtcdCluster.start({ members, flags: [urls] }));
}

function flags(net: Topology): string[] {
  const endpoint = `http://[${net.hosts.at(-1)!.ipv6}]:2379`;
  return ["-etcd-endpoints", endpoint, "-ip-masq", "-healthz-port", "300"];
}

scenario("IPv6 alone on etcd, beside a host with both families", { hosts: 3, ipv6: true }, async (net) => {
  const [h1, h2, h3] = net.hosts as [Host, Host, Host];
  const etcd = await startEtcd(net);
  const args = flags(net);
  const backend = { Backend: { Type: "vxlan" } };
  const both = { Network: "10.1.0.0/16", ...SIX, ...backend };
  await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify(both));
  const third = await launchReady(h3, args);
  await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify({ EnableIPv4: false, ...SIX, ...backend }));
  const first = await launchReady(h1, args);
  const second = await launchReady(h2, args);
  const env = await subnetEnv(h1);
  assertEquals(
    Object.keys(env).join(),
    "FLANNEL_IPV6_NETWORK,FLANNEL_IPV6_SUBNET,FLANNEL_MTU,FLANNEL_IPMASQ",
  );
  assertMatch(env.FLANNEL_IPV6_SUBNET!, /^fd00:1:0:[0-9a-f]+::1\/64$/);
  assertEquals([env.FLANNEL_MTU, (await linkOf(h1, "flannel-v6.1")).mtu], ["1430", 1430]);
  const containers = await Promise.all([h1, h2, h3].map((host) => ipv6ContainerOn(net, host)));
  const [c1, c2] = containers;
  for (const container of containers) await reachable(c1!, container.address);
  assertEquals(await unreachablePairs(containers), []);
  // The world outside knows no way back to an address of the overlay.
  await reachable(c1!, "fd00:64::1");
  assertEquals(await ipv4Of(h1), "");
  assertEquals((await health(h1, "/readyz")).status, 200);

  const pings = [startPing(c1!, c2!.address, 10), startPing(c2!, c1!.address, 10)];
  await first.stop();
  const seen = launch(h1, [...args, "--read-only"]);
  assertEquals(await seen.ended(), 0);
  assert(seen.text.includes(`${env.FLANNEL_IPV6_SUBNET!.replace("1/64", "/64")} (held already)`), seen.text);
  await launchReady(h1, args);
  assertEquals(await subnetEnv(h1), env);
  // By its record alone.
  const before = await subnetEnv(h2);
  await second.stop("SIGKILL");
  await h2.run(["rm", "/run/flannel/subnet.env"]);
  await launchReady(h2, args);
  assertEquals(await subnetEnv(h2), before);

  const { FLANNEL_IPV6_SUBNET: kept } = await subnetEnv(h3);
  assertMatch(await ipv4Of(h3), /^flannel\.1 [^]*FLANNEL/);
  await third.stop();
  await launchReady(h3, args);
  assertEquals((await subnetEnv(h3)).FLANNEL_IPV6_SUBNET, kept);
  await poll("nothing of IPv4 is left", 10_000, async () => await ipv4Of(h3) === "");
  for (const container of containers) await reachable(container, c1!.address);
  for (const ping of pings) {
    await ping.answers(50);
    assertEquals((await ping.stop()).lost, []);
  }
  const keys = (await etcd.ctl("get", "--prefix", "--keys-only", `${PREFIX}/subnet`)).match(/\S+/g);
  assertEquals(keys?.map((key) => key.startsWith(`${PREFIX}/subnet6/fd00:1:0:`)), [true, true, true]);
});

for (const [type, device, mtu] of [["host-gw", "eth0", "1500"], ["udp", "flannel0", "1452"]] as const) {
  scenario(`IPv6 alone on etcd, backend ${type}`, { hosts: 2, ipv6: true }, async (net) => {
    const [h1, h2] = net.hosts as [Host, Host];
    const etcd = await startEtcd(net);
    const config = { EnableIPv4: false, ...SIX, Backend: { Type: type } };
    await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify(config));
    const first = await launchReady(h1, flags(net));
    await launchReady(h2, flags(net));
    const env = await subnetEnv(h1);
    assertEquals(env.FLANNEL_MTU, mtu);
    const [c1, c2] = [await ipv6ContainerOn(net, h1), await ipv6ContainerOn(net, h2)];
    await reachable(c1, c2.address);
    await reachable(c2, "fd00:64::1");
    assertMatch(await h1.run(["ip", "-6", "route", "show", "dev", device]), /^fd00:1:.* proto 85/m);
    await first.stop();
    await launchReady(h1, flags(net));
    assertEquals(await subnetEnv(h1), env);
    await reachable(c2, c1.address);
    assertEquals((await health(h1, "/readyz")).status, 200);
  });
}

/** Devices, rules and addresses of the overlay that are for IPv4. */
async function ipv4Of(host: Host): Promise<string> {
  return await host.run(["sh", "-c", IPV4]);
}

const IPV4 = `
ip -br link show | grep '^flannel[.]'
ip -4 -br address show | grep flannel
ip -4 route show proto 85
iptables -S | grep FLANNEL
iptables -t nat -S | grep FLANNEL
true`;
