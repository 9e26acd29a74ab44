/**
 * The userspace UDP datapath between two hosts, each a namespace and a process of its own:
 *
 *   10.1.1.1 fd01:1::1 (dnu0)                       10.1.2.1 fd01:2::1 (dnu0)
 *            host a                                          host b
 *   10.99.0.1 fd99::1 (eth0) ────── veth ────── (eth0) 10.99.0.2 fd99::2, and 10.99.0.3 of a stranger
 *
 * Throughput is printed, not asserted.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type {
  UdpFeature,
  UdpPeer,
  UdpStatistics,
  UdpTunnelOptions,
  UdpTunnelSettings,
} from "../../ffi/udp_tunnel.ts";
import type { Namespace } from "../support/netns.ts";
import { poll, type Process } from "../support/process.ts";
import type { UdpChanges } from "../support/udp_host.ts";
import { type Hosts, hostsTest } from "../support/udp_hosts.ts";

const PORT = 8285;
const ALL: readonly UdpFeature[] = ["tso", "uso", "csum", "segment", "gro"];
const PROGRAM = new URL("../support/udp_host.ts", import.meta.url).pathname;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

interface Differs {
  readonly options?: Partial<UdpTunnelOptions>;
  readonly mtu?: number;
  /** Address of the peer in the underlay. */
  readonly peer?: string;
  /** A capability that the process does not have. */
  readonly without?: string;
}

function peersOf(n: 1 | 2, differs: Differs): UdpPeer[] {
  const other = 3 - n;
  const common = { address: differs.peer ?? `10.99.0.${other}`, port: PORT, mtu: differs.mtu ?? 0 };
  return [
    { ...common, subnet: `10.1.${other}.0/24` },
    { ...common, subnet: `fd01:${other}::/64` },
  ];
}

function changesOf(host: Namespace): string {
  return `/tmp/denim-udp-changes-${Deno.pid}-${host.pid}`;
}

/** Changes a running end; returns its settings. */
async function change(host: Namespace, tunnel: Process, changes: UdpChanges): Promise<UdpTunnelSettings> {
  await Deno.writeTextFile(changesOf(host), JSON.stringify(changes));
  const from = tunnel.lines.length;
  tunnel.signal("SIGWINCH");
  const line = await tunnel.line(/^changed /, 5000, from);
  await Deno.remove(changesOf(host));
  return JSON.parse(line.slice("changed ".length));
}

/** Starts host `n`'s end and gives the device its addresses and routes. */
async function startTunnel(host: Namespace, n: 1 | 2, differs: Differs = {}): Promise<Process> {
  const options: UdpTunnelOptions = {
    name: "dnu%d",
    port: PORT,
    underlay: [`10.99.0.${n}`, `fd99::${n}`],
    icmpSources: [`10.1.${n}.1`, `fd01:${n}::1`],
    ...differs.options,
  };
  const tunnel = host.start("tunnel", [
    ...differs.without ? ["setpriv", `--bounding-set=-${differs.without}`] : [],
    Deno.execPath(),
    "run",
    "-A",
    PROGRAM,
    JSON.stringify({ options, peers: peersOf(n, differs), changes: changesOf(host) }),
  ]);
  assertMatch(await tunnel.line(/^ready|error/i), /ready dnu0/);
  await configure(host, n);
  return tunnel;
}

async function configure(host: Namespace, n: 1 | 2): Promise<void> {
  await host.sh(`
    ip link set dnu0 mtu 1472 up
    ip address add 10.1.${n}.1/32 dev dnu0
    ip address add fd01:${n}::1/128 dev dnu0 nodad
    ip route add 10.1.0.0/16 dev dnu0
    ip route add fd01::/16 dev dnu0`);
}

async function statistics(tunnel: Process): Promise<UdpStatistics> {
  const from = tunnel.lines.length;
  tunnel.signal("SIGUSR2");
  return JSON.parse((await tunnel.line(/^statistics /, 5000, from)).slice("statistics ".length));
}

async function ping(host: Namespace, to: string, ...more: string[]): Promise<void> {
  await host.run(["ping", "-n", "-q", "-c", "3", "-i", "0.05", "-W", "2", ...more, to]);
}

/** Sends so many MB of random bytes over TCP and compares their sums; Gbit/s. */
async function transfer({ a, b }: Hosts, to: string, megabytes = 40): Promise<number> {
  const directory = await Deno.makeTempDir();
  const listen = to.includes(":") ? `TCP6-LISTEN:5555,bind=[${to}]` : `TCP4-LISTEN:5555,bind=${to}`;
  const connect = to.includes(":") ? `TCP6:[${to}]:5555` : `TCP4:${to}:5555`;
  try {
    await a.sh(`head -c ${megabytes * 1_000_000} /dev/urandom > ${directory}/sent`);
    const server = b.start("socat", ["socat", "-d", "-d", "-u", listen, `OPEN:${directory}/got,creat`]);
    await server.line(/listening on/);
    const start = performance.now();
    await a.run(["socat", "-b", "262144", "-u", `OPEN:${directory}/sent`, connect]);
    assertEquals(await server.ended(), 0);
    const seconds = (performance.now() - start) / 1000;
    const sums = await a.run(["sha256sum", `${directory}/sent`, `${directory}/got`]);
    assertEquals(new Set(sums.trim().split("\n").map((line) => line.slice(0, 64))).size, 1, sums);
    return megabytes * 8e6 / seconds / 1e9;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function throughput({ a, b }: Hosts, ...more: string[]): Promise<string> {
  const server = b.start("iperf3", ["iperf3", "-s", "-1", "-B", "10.1.2.1", "--forceflush"]);
  await server.line(/Server listening/);
  const result = JSON.parse(await a.run(["iperf3", "-c", "10.1.2.1", "-t", "2", "-J", ...more]));
  const { bits_per_second } = result.end.sum_received ?? result.end.sum;
  return `${(bits_per_second / 1e9).toFixed(2)} Gbit/s`;
}

hostsTest(
  "packets of both families and whole streams go through, in super-packets where the kernel can",
  async (hosts) => {
    const tunnels = [await startTunnel(hosts.a, 1), await startTunnel(hosts.b, 2)];
    await ping(hosts.a, "10.1.2.1");
    await ping(hosts.b, "fd01:1::1", "-s", "1400");
    print(`40 MB over TCP: ${(await transfer(hosts, "10.1.2.1")).toFixed(2)} Gbit/s`);
    print(`40 MB over TCP in IPv6: ${(await transfer(hosts, "fd01:2::1")).toFixed(2)} Gbit/s`);
    print(`iperf3: ${await throughput(hosts)}`);
    const [a, b] = [await statistics(tunnels[0]!), await statistics(tunnels[1]!)];
    print(`a: ${JSON.stringify(a)}`);
    print(`b: ${JSON.stringify(b)}`);
    if (a.features.includes("segment")) assert(a.sentPackets > 4 * a.sentMessages, "few packets a message");
    if (b.features.includes("gro")) assert(b.receivedPackets > 4 * b.deviceWrites, "few packets a write");
    assertEquals(a.peers.reduce((sum, peer) => sum + peer.sentPackets, 0), a.sentPackets);
    assertEquals(a.drops.spoofed + a.drops.stranger + a.drops.offload + a.drops.send + a.drops.device, 0);
  },
);

hostsTest("without any offload, and over IPv6 underneath, it carries the same", async (hosts) => {
  await startTunnel(hosts.a, 1, { options: { without: ALL }, peer: "fd99::2" });
  const b = await startTunnel(hosts.b, 2, { peer: "fd99::1" });
  await ping(hosts.a, "10.1.2.1");
  print(
    `40 MB over TCP, one side packet by packet: ${(await transfer(hosts, "10.1.2.1")).toFixed(2)} Gbit/s`,
  );
  print(`40 MB the same in IPv6: ${(await transfer(hosts, "fd01:2::1")).toFixed(2)} Gbit/s`);
  assertEquals((await statistics(b)).drops.spoofed, 0);
});

hostsTest("several queues carry it too", async (hosts) => {
  const a = await startTunnel(hosts.a, 1, { options: { queues: 2 } });
  await startTunnel(hosts.b, 2, { options: { queues: 2 } });
  await ping(hosts.a, "10.1.2.1");
  await transfer(hosts, "10.1.2.1");
  print(`iperf3, two queues, four streams: ${await throughput(hosts, "-P", "4")}`);
  assert((await statistics(a)).sentPackets > 0);
});

hostsTest("a peer that forwards one packet a system call is understood, and understands", async (hosts) => {
  const a = await startTunnel(hosts.a, 1);
  const old = hosts.b.start("forwarder", [
    "socat",
    "-d",
    "-d",
    "-b",
    "2000",
    `UDP4-DATAGRAM:10.99.0.1:${PORT},bind=10.99.0.2:${PORT}`,
    "TUN,tun-name=dnu0,iff-no-pi,tun-type=tun",
  ]);
  await old.line(/starting data transfer loop/);
  await configure(hosts.b, 2);
  await ping(hosts.a, "10.1.2.1");
  await ping(hosts.b, "10.1.1.1");
  await transfer(hosts, "10.1.2.1");
  const { drops } = await statistics(a);
  // Its device also tells its link-local neighbours about itself; that is nobody's subnet.
  assertEquals(drops.stranger + drops.malformed, 0);
});

/** An IPv4 packet with nothing in it. */
function packet(source: number[], ttl = 64): string {
  const bytes = [0x45, 0, 0, 20, 0, 0, 0, 0, ttl, 253, 0, 0, ...source, 10, 1, 1, 1];
  return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

hostsTest(
  "datagrams of strangers, foreign inner sources and damaged packets are counted and dropped",
  async ({ a, b }) => {
    const tunnel = await startTunnel(a, 1);
    const send = (from: string, payload: string) =>
      b.run(["bash", "-c", `printf '${payload}' | socat -u - UDP4-SENDTO:10.99.0.1:${PORT},bind=${from}`]);
    const rises = async (
      counter: "stranger" | "spoofed" | "malformed" | "ttl",
      cause: () => Promise<unknown>,
    ) => {
      const before = (await statistics(tunnel)).drops[counter];
      await cause();
      await poll(
        `a drop of kind ${counter}`,
        5000,
        async () => (await statistics(tunnel)).drops[counter] > before,
      );
    };
    const start = await statistics(tunnel);
    await rises("stranger", () => send("10.99.0.3", packet([10, 1, 2, 1])));
    await rises("spoofed", () => send("10.99.0.2", packet([10, 1, 1, 7])));
    await rises("spoofed", () => send("10.99.0.2", packet([192, 0, 2, 1])));
    await rises("malformed", () => send("10.99.0.2", packet([10, 1, 2, 1]).slice(0, 40)));
    await rises("ttl", () => send("10.99.0.2", packet([10, 1, 2, 1], 1)));
    assertEquals((await statistics(tunnel)).receivedPackets, start.receivedPackets);
    await send("10.99.0.2", packet([10, 1, 2, 1]));
    await poll(
      "the good one",
      5000,
      async () => (await statistics(tunnel)).receivedPackets === start.receivedPackets + 1,
    );
  },
);

hostsTest("time exceeded, no route and too big are told to the sender", async ({ a, b }) => {
  const tunnel = await startTunnel(a, 1, { mtu: 1300 });
  await startTunnel(b, 2);
  const says = async (command: string[]) => {
    const { stdout, stderr } = await a.output(command);
    return stdout + stderr;
  };
  const one = ["ping", "-n", "-c", "1", "-W", "2"];
  assertMatch(await says([...one, "-t", "1", "10.1.2.1"]), /From 10\.1\.1\.1.*Time to live exceeded/);
  assertMatch(await says([...one, "-t", "2", "10.1.2.1"]), /From 10\.1\.2\.1.*Time to live exceeded/);
  await ping(a, "10.1.2.1", "-t", "3");
  assertMatch(await says([...one, "-t", "1", "fd01:2::1"]), /From fd01:1::1.*Time exceeded/);
  assertMatch(await says([...one, "10.1.77.1"]), /From 10\.1\.1\.1.*Destination Net Unreachable/);
  assertMatch(await says([...one, "fd01:77::1"]), /From fd01:1::1.*Destination unreachable: No route/);
  assertMatch(await says([...one, "-M", "do", "-s", "1300", "10.1.2.1"]), /mtu ?= ?1300/);
  await ping(a, "10.1.2.1", "-M", "dont", "-s", "1300");
  assertMatch(
    await says(["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1350", "fd01:2::1"]),
    /mtu ?= ?1300/,
  );
  const { drops, icmpSent } = await statistics(tunnel);
  assertEquals(icmpSent, 6, JSON.stringify(drops));
  assertEquals([drops.ttl, drops.tooBig], [2, 2]);
});

hostsTest(
  "an underlay with a smaller MTU gets packet by packet what it refuses together, until the peer's MTU rises",
  async (hosts) => {
    const tunnel = await startTunnel(hosts.a, 1, { mtu: 1472 });
    await startTunnel(hosts.b, 2);
    await hosts.a.sh("ip link set eth0 mtu 1400");
    await transfer(hosts, "10.1.2.1");
    const { peers, features } = await statistics(tunnel);
    if (features.includes("segment")) assertEquals(peers[0]?.alone, true);
    await hosts.a.sh("ip link set eth0 mtu 1500");
    await change(hosts.a, tunnel, { peers: peersOf(1, { mtu: 1400 }) });
    if (features.includes("segment")) assertEquals((await statistics(tunnel)).peers[0]?.alone, true);
    await change(hosts.a, tunnel, { peers: peersOf(1, { mtu: 1472 }) });
    const before = await statistics(tunnel);
    await transfer(hosts, "10.1.2.1");
    const after = await statistics(tunnel);
    assertEquals(after.peers[0]?.alone, false);
    const messages = after.sentMessages - before.sentMessages;
    if (features.includes("segment")) assert(after.sentPackets - before.sentPackets > 4 * messages);
  },
);

for (const sender of ["pool", "raw"] as const) {
  hostsTest(`with the sender "${sender}", flows have source ports of their own`, async (hosts) => {
    const a = await startTunnel(hosts.a, 1, { options: { sender } });
    await startTunnel(hosts.b, 2);
    const watch = hosts.b.start("tcpdump", [
      "tcpdump",
      "-l",
      "-n",
      "-p",
      "-i",
      "eth0",
      `udp dst port ${PORT}`,
    ]);
    await watch.line(/listening on/);
    print(`40 MB over TCP, ${sender}: ${(await transfer(hosts, "10.1.2.1")).toFixed(2)} Gbit/s`);
    await ping(hosts.a, "fd01:2::1", "-s", "1400");
    await hosts.a.run(["bash", "-c", "for i in {4001..4020}; do echo > /dev/udp/10.1.2.1/$i; done"]);
    const ports = () => new Set([...watch.text.matchAll(/10\.99\.0\.1\.(\d+) > /g)].map((found) => found[1]));
    await poll("several source ports", 5000, () => ports().size > 5);
    assert(!ports().has(String(PORT)), [...ports()].join());
    const { sender: used, senderRefused, drops } = await statistics(a);
    assertEquals([used, senderRefused, drops.send], [sender, null, 0]);
  });
}

hostsTest(
  "the raw sender reaches peers over IPv6 too, and what is too long for it goes in fragments",
  async (hosts) => {
    const a = await startTunnel(hosts.a, 1, { options: { sender: "raw" }, peer: "fd99::2" });
    await startTunnel(hosts.b, 2, { peer: "fd99::1" });
    await transfer(hosts, "fd01:2::1");
    await ping(hosts.a, "10.1.2.1", "-s", "1400");
    await ping(hosts.a, "10.1.2.1", "-s", "1444", "-M", "do");
    const { sender, drops } = await statistics(a);
    assertEquals([sender, drops.send, drops.busy], ["raw", 0, 0]);
  },
);

hostsTest("without CAP_NET_RAW the raw sender is the socket, and says why", async (hosts) => {
  const a = await startTunnel(hosts.a, 1, { options: { sender: "raw" }, without: "net_raw" });
  await startTunnel(hosts.b, 2);
  await ping(hosts.a, "10.1.2.1");
  const { sender, senderRefused } = await statistics(a);
  assertEquals(sender, "socket");
  assertMatch(senderRefused ?? "", /EPERM/);
});

hostsTest(
  "plain, it carries one packet a system call each way, from and to the other kind",
  async (hosts) => {
    const a = await startTunnel(hosts.a, 1, { options: { plain: true } });
    const b = await startTunnel(hosts.b, 2);
    await ping(hosts.a, "10.1.2.1");
    await transfer(hosts, "10.1.2.1");
    await transfer({ a: hosts.b, b: hosts.a }, "10.1.1.1", 1);
    const statsOfA = await statistics(a);
    assertEquals(statsOfA.features, []);
    assertEquals(statsOfA.sentMessages, statsOfA.sentPackets);
    assertEquals(statsOfA.receivedMessages, statsOfA.receivedPackets);
    assertEquals((await statistics(b)).drops.malformed, 0);
    a.signal("SIGHUP");
    await a.line(/^kept .*"offload":false/);
    await a.line(/^again dnu0/);
    await ping(hosts.a, "10.1.2.1");
  },
);

hostsTest(
  "a peer that sends from another address is a stranger, unless moved peers are accepted",
  async ({ a, b }) => {
    const moved = { options: { underlay: ["10.99.0.3"] } };
    const sees = async (acceptMoved: boolean) => {
      const tunnel = await startTunnel(a, 1, { options: { acceptMoved } });
      const other = await startTunnel(b, 2, moved);
      await b.output(["ping", "-n", "-q", "-c", "2", "-i", "0.05", "-W", "1", "10.1.1.1"]);
      await poll("datagrams from the other address", 5000, async () => {
        const { receivedPackets, drops } = await statistics(tunnel);
        return receivedPackets + drops.stranger > 0;
      });
      const { receivedPackets, drops, peers } = await statistics(tunnel);
      await tunnel.stop();
      await other.stop();
      return { accepted: receivedPackets > 0, strange: drops.stranger > 0, moved: peers[0]?.moved };
    };
    assertEquals(await sees(false), { accepted: false, strange: true, moved: null });
    const accepting = await sees(true);
    assertEquals([accepting.accepted, accepting.moved], [true, "10.99.0.3"]);
  },
);

/** What a tunnel says that cannot be opened. */
async function refusal(
  host: Namespace,
  options: Partial<UdpTunnelOptions>,
  prefix: string[] = [],
): Promise<string> {
  const whole = { options: { name: "dnu0", port: PORT, underlay: ["10.99.0.1"], ...options }, peers: [] };
  const { code, stderr } = await host.output([
    ...prefix,
    Deno.execPath(),
    "run",
    "-A",
    PROGRAM,
    JSON.stringify(whole),
  ]);
  assert(code !== 0);
  return /Failure: (.*)/.exec(stderr)?.[1] ?? stderr;
}

hostsTest("what cannot be opened is named, with the reason and the way out", async ({ a }) => {
  const says = async (pattern: RegExp, options: Partial<UdpTunnelOptions>, prefix?: string[]) =>
    assertMatch(await refusal(a, options, prefix), pattern);
  const hidden = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"];
  await says(/^open the UDP tunnel "dnu0": open the device .*ENOENT.*kernel module tun/, {}, hidden);
  await says(/open the device .*CAP_NET_ADMIN.*EPERM/, {}, ["setpriv", "--bounding-set=-net_admin"]);
  await says(/receive at "10.99.0.77" port 8285: this host does not have that address/, {
    underlay: ["10.99.0.77"],
  });
  await says(/receive at "fd99::77" port 8285/, { underlay: ["10.99.0.1", "fd99::77"] });
  await says(/open the device .*EINVAL.*another kind/, { name: "eth0" });
  const tunnel = await startTunnel(a, 1);
  await says(/receive at "10.99.0.1" port 8285: it is taken already/, { name: "dnu1" });
  await says(/open the device .*EBUSY.*another program/, { port: PORT + 1 });
  await ping(a, "10.1.1.1");
  assertEquals(await tunnel.stop(), 0);
});

hostsTest("where ICMP errors come from can change at run time", async ({ a }) => {
  const tunnel = await startTunnel(a, 1, { options: { icmpSources: [] } });
  const says = async () => (await a.output(["ping", "-n", "-c", "1", "-W", "1", "10.1.77.1"])).stdout;
  assert(!/From/.test(await says()));
  const { icmpSources, sender } = await change(a, tunnel, { icmpSources: ["10.1.1.1"] });
  assertEquals([icmpSources, sender], [["10.1.1.1"], "socket"]);
  assertMatch(await says(), /From 10\.1\.1\.1.*Destination Net Unreachable/);
  await change(a, tunnel, { icmpSources: [] });
  assert(!/From/.test(await says()));
});

hostsTest(
  "the descriptors outlive the threads: a restart keeps the device and its routes",
  async ({ a, b }) => {
    const tunnel = await startTunnel(a, 1);
    await startTunnel(b, 2);
    tunnel.signal("SIGHUP");
    await tunnel.line(/^again dnu0/);
    const kept = tunnel.lines.filter((line) => line.startsWith("kept ")).map((line) =>
      JSON.parse(line.slice(5))
    );
    assertEquals(kept, [
      { kind: "tun", name: "dnu0", multiQueue: false, offload: true },
      { kind: "udpSocket", family: 4, address: "10.99.0.1", port: PORT },
      { kind: "udpSocket", family: 6, address: "fd99::1", port: PORT },
    ]);
    await ping(a, "10.1.2.1");
  },
);

/**
 * A thousand subnets of 10.0.0.0/8, of which 74 each share a bucket, and so are too many, whichever of sixteen fixed seeds is
 * taken for a multiplication with a fixed factor.
 */
function chosenSubnets(): string[] {
  const wide = (1n << 64n) - 1n;
  const bucket = (key: bigint, seed: bigint) =>
    ((((key ^ ((seed * 0xd6e8feb86659fd93n) & wide)) * 0x9e3779b97f4a7c15n) & wide) >> 32n) & 511n;
  const keys = Array.from({ length: 65_280 }, (_, n) => (10n << 24n) | (BigInt(n + 256) << 8n));
  const chosen = new Set<bigint>();
  for (let seed = 0n; seed < 16n; seed++) {
    const [crowd] = [...Map.groupBy(keys, (key) => bucket(key, seed)).values()].filter((all) =>
      all.length >= 74
    );
    for (const key of crowd!.slice(0, 74)) chosen.add(key);
  }
  return [...chosen].map((key) => `10.${(key >> 16n) & 255n}.${(key >> 8n) & 255n}.0/24`);
}

hostsTest("no subnets can be chosen that a tunnel's table can't take", async ({ a }) => {
  const tunnel = await startTunnel(a, 1);
  const peers = chosenSubnets().map((subnet, n) => ({
    subnet,
    address: `172.16.${n >> 8}.${n & 255}`,
    port: PORT,
    mtu: 0,
  }));
  assert(peers.length > 1_000);
  await change(a, tunnel, { peers });
  assertEquals((await statistics(tunnel)).peers.length, peers.length);
});

hostsTest("the end leaves no thread, descriptor or device; a deleted device is told", async ({ a, b }) => {
  const tunnel = await startTunnel(a, 1, { options: { queues: 3 } });
  const other = await startTunnel(b, 2);
  await ping(a, "10.1.2.1");
  assertEquals(await tunnel.stop(), 0);
  const [, left, before] = /^left (.*) before (\d+)/.exec(await tunnel.line(/^left/)) ?? [];
  assertEquals(JSON.parse(left ?? ""), { threads: [], descriptors: Number(before) });
  assertEquals((await a.json<{ ifname: string }[]>("ip", "-j", "link")).map((link) => link.ifname), [
    "lo",
    "eth0",
  ]);
  await b.run(["ip", "link", "delete", "dnu0"]);
  assertMatch(await other.line(/^ended/), /carry packets of the device "dnu0"/);
});
