/**
 * Backend udp on three hosts with a real etcd: traffic, peers that come and go, repair, and who is believed.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 .11 ──┬── 192.168.64.0/24 ──┬── eth0 .12 ─ h2 ── cbr0 ── c2
 *                 └ flannel0      │                     └── eth0 .13 ─ h3 ── cbr0 ── c3
 *                                 └ .1 outside (a stranger)
 */
import { assert, assertEquals, assertMatch, assertStringIncludes, equal } from "@std/assert";
import { launchReady, subnetEnv } from "../support/daemon.ts";
import type { Place } from "../support/netns.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { containerOn, linkOf, sqliteArgs } from "../support/overlay.ts";
import { poll, type Process, say } from "../support/process.ts";
import { type Host, type PlainContainer, scenario, type Topology } from "../support/topology.ts";
import { ping, reachable, transfer, unreachablePairs } from "../support/traffic.ts";
import { drops, metrics } from "../support/tunnel_metrics.ts";

const CONFIG = { Network: "10.1.0.0/16", SubnetMax: "10.1.99.0", Backend: { Type: "udp", Port: 7890 } };
const DEADLINE = 15_000;

scenario("udp: three hosts on etcd, peers coming and going", { hosts: 3 }, async (net) => {
  const etcd = await HostEtcd.start(net, [1]);
  await etcd.ctl("put", "/coreos.com/network/config", JSON.stringify(CONFIG));
  const args = [...etcd.flags(), "-ip-masq", "-healthz-port", "300"];
  const [h1, h2, h3] = net.hosts as [Host, Host, Host];
  await Promise.all([h1, h2].map((host) => launchReady(host, args)));
  const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
  await reachable(c1, c2.address);
  await checkHost(h1);

  const daemon = await launchReady(h3, args);
  const c3 = await containerOn(net, h3);
  await reachable(c1, c3.address);
  await reachable(c2, c3.address);
  assertEquals(await unreachablePairs([c1, c2, c3]), []);
  for (const [from, to] of [[c1, c3], [c3, c2]] as const) {
    const { sent, received, seconds } = await transfer(from, to, 100);
    assertEquals(received, sent);
    say(`100 MB in ${seconds.toFixed(2)} s`);
  }

  const subnet = (await subnetEnv(h3)).FLANNEL_SUBNET!.replace(/1\/24$/, "0");
  assertEquals(await daemon.stop(), 0);
  assertEquals(
    await h3.run(["ip", "-br", "link", "show", "type", "tun"]),
    "",
    "a stopped daemon's device is gone",
  );
  await etcd.ctl("del", `/coreos.com/network/subnets/${subnet}-24`);
  await poll(
    "the peer is gone",
    DEADLINE,
    async () => !(await metrics(h1)).includes(`subnet="${subnet}/24"`),
  );
  await launchReady(h3, args);
  await reachable(c1, c3.address);
});

scenario("udp: what is deleted or changed by hand comes back", { hosts: 2 }, async (net) => {
  const { daemons, c1, c2 } = await twoHosts(net);
  const [h1] = net.hosts as [Host];
  const before = await standing(h1);
  const damages = {
    "route deleted": "ip route del 10.1.0.0/16",
    "routes flushed": "ip route flush dev flannel0",
    "address deleted": "ip address flush dev flannel0",
    "device down": "ip link set flannel0 down",
    "MTU changed": "ip link set flannel0 mtu 1300",
    "device deleted": "ip link del flannel0",
  };
  for (const [what, script] of Object.entries(damages)) {
    const start = performance.now();
    await h1.sh(script);
    await poll(`the repair of: ${what}`, DEADLINE, async () => await standing(h1) === before);
    await reachable(c1, c2.address, 2000);
    say(`${what}: repaired in ${Math.round(performance.now() - start)} ms, the look included`);
  }
  assert(daemons.every((daemon) => daemon.running));
});

scenario("udp: the underlay's MTU and address are followed", { hosts: 2 }, async (net) => {
  const { c1, c2 } = await twoHosts(net);
  const [h1] = net.hosts as [Host];
  await h1.run(["ip", "link", "set", "eth0", "mtu", "1400"]);
  await poll("MTU 1372", DEADLINE, async () => (await linkOf(h1, "flannel0")).mtu === 1372);
  const { index } = await deviceOf(h1);
  await h1.sh(`
    ip address del 192.168.64.11/24 dev eth0
    ip address add 192.168.64.21/24 dev eth0
    ip route add default via 192.168.64.1`);
  await reachable(c1, c2.address, DEADLINE);
  await reachable(c2, c1.address, DEADLINE);
  assertStringIncludes(await h1.run(["ss", "-Hlun", "sport = :7890"]), "192.168.64.21:7890");
  assertEquals((await deviceOf(h1)).index, index, "the device has stayed");
});

scenario(
  "udp: strangers and spoofed sources get nothing through, and are counted",
  { hosts: 3 },
  async (net) => {
    const { c1, c2 } = await twoHosts(net);
    const [h1, h2, h3] = net.hosts as [Host, Host, Host];
    await launchReady(h3, await sqliteArgs(net, CONFIG));
    const third = (await subnetEnv(h3)).FLANNEL_SUBNET!.replace(/1\/24$/, "0");
    await poll("h1 knows h3", DEADLINE, async () => (await metrics(h1)).includes(`subnet="${third}/24"`));
    const echo = echoRequest(c2.address, c1.address);
    const seen = c1.start("tcpdump", ["tcpdump", "-l", "-n", "-i", "eth0", "icmp"]);
    await seen.line(/listening on/);
    // The device's own multicast has no peer either, whenever the kernel sends some.
    const judged = async () => {
      const { stranger, spoofed, malformed } = await drops(h1);
      return { stranger, spoofed, malformed };
    };
    const counted = async (
      reason: keyof Awaited<ReturnType<typeof judged>>,
      from: Place,
      bytes: Uint8Array,
    ) => {
      const before = await judged();
      await sendTo(from, h1.ip, bytes);
      const expected = { ...before, [reason]: before[reason]! + 1 };
      await poll(`one more ${reason}`, DEADLINE, async () => equal(await judged(), expected));
    };
    await counted("stranger", net.outside, echo);
    await counted("spoofed", h2, echoRequest(third.replace(/0$/, "2"), c1.address));
    await counted("spoofed", h2, echoRequest("10.1.254.254", c1.address));
    await counted("malformed", h2, new Uint8Array([0x45, 0, 0, 99, 1, 2, 3]));
    await sendTo(h2, h1.ip, echo);
    await seen.line(/echo request/);
    assertEquals(
      seen.lines.filter((line) => line.includes("echo request")).length,
      1,
      "the peer's own alone",
    );
  },
);

scenario(
  "udp: a peer that sends from another address is taken with -udp-accept-moved",
  { hosts: 2 },
  async (net) => {
    const args = await sqliteArgs(net, CONFIG);
    const [h1, h2] = net.hosts as [Host, Host];
    await h2.sh("ip address add 192.168.64.99/24 dev eth0");
    const first = await launchReady(h1, args);
    await launchReady(h2, [...args, "-public-ip", "192.168.64.12", "-iface", "eth0"]);
    // What h2 sends leaves from its second address, as behind a NAT.
    await h2.sh(
      "iptables -t nat -A POSTROUTING -o eth0 -p udp --dport 7890 -j SNAT --to-source 192.168.64.99:7891",
    );
    const [c1, c2] = [await containerOn(net, h1), await containerOn(net, h2)];
    await poll("h1 knows h2", DEADLINE, () => / peer .* joined/.test(first.text));
    assertEquals(await ping(c2, c1.address), false, "a moved peer is a stranger");
    await first.stop();
    await launchReady(h1, [...args, "-udp-accept-moved"]);
    await reachable(c2, c1.address, DEADLINE);
    assertEquals(await ping(c2, c1.address, 2), true);
  },
);

scenario("udp: both families through one device", { hosts: 2, ipv6: true }, async (net) => {
  const config = { ...CONFIG, EnableIPv6: true, IPv6Network: "fd00:1::/48" };
  const args = await sqliteArgs(net, config);
  await Promise.all(net.hosts.map((host) => launchReady(host, args)));
  const [h1, h2] = net.hosts as [Host, Host];
  const env = await subnetEnv(h2);
  assertEquals(env.FLANNEL_MTU, "1452");
  const v4 = env.FLANNEL_SUBNET!.replace(/1\/24$/, "0");
  const v6 = env.FLANNEL_IPV6_SUBNET!.replace(/1\/64$/, "");
  await poll("answers over both families", DEADLINE, async () => await ping(h1, v4) && await ping(h1, v6));
  assertMatch(await h1.run(["ip", "-6", "route", "show", "dev", "flannel0"]), /^fd00:1::\/48 proto 85/m);
});

interface TwoHosts {
  readonly daemons: readonly Process[];
  readonly c1: PlainContainer;
  readonly c2: PlainContainer;
}

async function twoHosts(net: Topology): Promise<TwoHosts> {
  const args = [...await sqliteArgs(net, CONFIG), "-ip-masq", "-healthz-port", "300"];
  const hosts = net.hosts.slice(0, 2);
  const daemons = await Promise.all(hosts.map((host) => launchReady(host, args)));
  const [c1, c2] = [await containerOn(net, hosts[0]!), await containerOn(net, hosts[1]!)];
  await reachable(c1, c2.address);
  await reachable(c2, c1.address);
  return { daemons, c1, c2 };
}

/** Names, addresses and routes as upstream's daemon has them. */
async function checkHost(host: Host): Promise<void> {
  const env = await subnetEnv(host);
  assertEquals(env.FLANNEL_MTU, "1472");
  const link = await linkOf(host, "flannel0");
  assertEquals([link.mtu, link.linkinfo.info_kind], [1472, "tun"]);
  const own = env.FLANNEL_SUBNET!.replace(/1\/24$/, "0");
  assertStringIncludes(await host.run(["ip", "-4", "address", "show", "dev", "flannel0"]), `inet ${own}/32`);
  assertMatch(await host.run(["ip", "route", "show", "dev", "flannel0"]), /^10\.1\.0\.0\/16 proto 85/);
  assertStringIncludes(await host.run(["ss", "-Hlun", "sport = :7890"]), `${host.ip}:7890`);
}

async function deviceOf(host: Host): Promise<{ index: number }> {
  return { index: (await linkOf(host, "flannel0")).ifindex };
}

/** What the daemon keeps on the host, without what changes by itself. */
async function standing(host: Host): Promise<string> {
  const text = await host.run(["sh", "-c", STANDING]);
  return text.replaceAll(/^\d+: /gm, "");
}

const STANDING = `
ip -o link show dev flannel0 | sed 's/ qdisc.*//'
ip -o -4 address show dev flannel0
ip -4 route show dev flannel0
true`;

/** One datagram from a host to port 7890 of another. */
async function sendTo(from: Place, to: string, bytes: Uint8Array): Promise<void> {
  const octal = [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  await from.sh(`printf '${octal}' | socat -u - UDP-SENDTO:${to}:7890`);
}

/** An IPv4 packet with an ICMP echo request. */
function echoRequest(from: string, to: string): Uint8Array {
  const bytes = new Uint8Array(36);
  bytes.set([0x45, 0, 0, 36, 0, 1, 0, 0, 64, 1]);
  bytes.set(from.split(".").map(Number), 12);
  bytes.set(to.split(".").map(Number), 16);
  seal(bytes, 0, 20, 10);
  bytes.set([8, 0, 0, 0, 0, 7, 0, 1], 20);
  seal(bytes, 20, 36, 22);
  return bytes;
}

/** Writes the Internet checksum (RFC 1071) of bytes [from, to) at `at`. */
function seal(bytes: Uint8Array, from: number, to: number, at: number): void {
  let sum = 0;
  for (let i = from; i < to; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~(sum + (sum >> 16));
  bytes.set([(sum >> 8) & 0xff, sum & 0xff], at);
}
