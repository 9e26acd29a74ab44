/**
 * The tutorial, from etcd to containers, as a test that takes the backend.
 *
 *                      outside 203.0.113.1 (knows no way to 10.1.0.0/16)
 *                              │ .1
 *      ─────────────┬──────────┴─ 192.168.64.0/24 ─┬───────────────────┬──
 *             .11 eth0                       .12 eth0            .13 eth0
 *      h1: etcd member, flanneld,     h2: the same         h3: the same
 *          dockerd
 *             docker0 10.1.a.1/24         docker0 10.1.b.1/24  docker0 10.1.c.1/24
 *               └ c1                        └ c2                 └ c3
 *
 * Everything between the hosts and etcd is mutual TLS on IP addresses; everything is started with the flags and helpers that
 * the unit files use.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { health, launchReady, subnetEnv } from "../support/daemon.ts";
import { type Container, Docker, dockerOptions } from "../support/docker.ts";
import { HostEtcd } from "../support/host_etcd.ts";
import { reachable, sourceSeen, startPing, transfer, unreachablePairs } from "../support/traffic.ts";
import { linkOf } from "../support/overlay.ts";
import { type Process, say } from "../support/process.ts";
import { type Host, OUTSIDE, scenario, type Topology } from "../support/topology.ts";

const PREFIX = "/coreos.com/network";
const HELPER = new URL("../../dist/mk-docker-opts.sh", import.meta.url).pathname;

interface Expected {
  readonly type: string;
  readonly mtu: number;
  /** What a host's record says beside PublicIP, PublicIPv6 and BackendType. */
  readonly data: (host: Host) => Promise<Record<string, unknown>>;
}

export const vxlan: Expected = {
  type: "vxlan",
  mtu: 1450,
  data: async (host) => ({ BackendData: { VNI: 1, VtepMAC: (await linkOf(host)).address } }),
};

export const hostGw: Expected = { type: "host-gw", mtu: 1500, data: () => Promise.resolve({}) };

/** Registers the test. */
export function tutorial(expected: Expected): void {
  scenario(`tutorial with ${expected.type}: containers of three hosts`, { hosts: 3 }, async (net) => {
    const etcd = await HostEtcd.start(net);
    await etcd.ctl("put", `${PREFIX}/config`, JSON.stringify(config(expected.type)));
    const daemons = await Promise.all(
      net.hosts.map((host) => launchReady(host, [...etcd.flags(), "-ip-masq", "-healthz-port", "300"])),
    );
    await checkFiles(net.hosts, expected);
    await checkRecords(etcd, net.hosts, expected);
    const containers = await Promise.all(net.hosts.map((host, i) => startContainer(net, host, `c${i + 1}`)));
    await checkTraffic(net, containers);
    await loseMember(etcd, containers);
    await stopDaemons(daemons, containers);
  });
}

function config(type: string): unknown {
  return {
    Network: "10.1.0.0/16",
    SubnetLen: 24,
    SubnetMin: "10.1.10.0",
    SubnetMax: "10.1.90.0",
    Backend: { Type: type },
  };
}

async function checkFiles(hosts: readonly Host[], expected: Expected): Promise<void> {
  for (const host of hosts) {
    const env = await subnetEnv(host);
    assertEquals(Object.keys(env), ["FLANNEL_NETWORK", "FLANNEL_SUBNET", "FLANNEL_MTU", "FLANNEL_IPMASQ"]);
    assertEquals(env.FLANNEL_NETWORK, "10.1.0.0/16");
    const third = Number(/^10\.1\.(\d+)\.1\/24$/.exec(env.FLANNEL_SUBNET!)?.[1]);
    assert(third >= 10 && third <= 90, env.FLANNEL_SUBNET);
    assertEquals([env.FLANNEL_MTU, env.FLANNEL_IPMASQ], [String(expected.mtu), "true"]);
    assertEquals(await health(host, "/healthz"), { status: 200, body: "flanneld is running" });
    assertEquals((await health(host, "/readyz")).status, 200);
  }
}

/** The keys and values are upstream's, member for member; behind those stands our mark. */
async function checkRecords(etcd: HostEtcd, hosts: readonly Host[], expected: Expected): Promise<void> {
  const listing = (await etcd.ctl("get", "--prefix", `${PREFIX}/subnets`)).trim().split("\n");
  assertEquals(listing.length, 2 * hosts.length);
  for (const host of hosts) {
    const subnet = (await subnetEnv(host)).FLANNEL_SUBNET!.replace(/1\/24$/, "0-24");
    const value = listing[listing.indexOf(`${PREFIX}/subnets/${subnet}`) + 1];
    const record = {
      PublicIP: host.ip,
      PublicIPv6: null,
      BackendType: expected.type,
      ...await expected.data(host),
    };
    const { Host: _, Run: __, Turn: ___, ...theirs } = JSON.parse(value!);
    assertEquals(JSON.stringify(theirs), JSON.stringify(record));
  }
}

/** ExecStartPost's helper, then dockerd with what it computed, then a container. */
async function startContainer(net: Topology, host: Host, name: string): Promise<Container> {
  await host.run(["sh", HELPER, "-d", "/run/docker_opts.env", "-c"]);
  const options = await dockerOptions(host, "/run/docker_opts.env");
  const env = await subnetEnv(host);
  assertEquals(options, [`--bip=${env.FLANNEL_SUBNET}`, "--ip-masq=false", `--mtu=${env.FLANNEL_MTU}`]);
  // As on a host where docker is the first to need forwarding: it then lets nothing through that nobody asked for.
  await host.sh("echo 0 > /proc/sys/net/ipv4/ip_forward");
  const docker = net.use(await Docker.start(host, options));
  assertMatch(await host.run(["iptables", "-S", "FORWARD"]), /-P FORWARD DROP/);
  const container = net.watch(await docker.run(name));
  assertMatch(
    await docker.exec(container, "ip", "link", "show", "eth0"),
    new RegExp(`mtu ${env.FLANNEL_MTU} `),
  );
  return container;
}

async function checkTraffic(net: Topology, containers: readonly Container[]): Promise<void> {
  const [c1, c2] = containers as [Container, Container];
  for (const container of containers.slice(1)) await reachable(c1, container.address);
  assertEquals(await unreachablePairs(containers), []);
  const { sent, received, seconds } = await transfer(c1, c2, 100);
  assertEquals(received, sent);
  say(`100 MB from c1 to c2 in ${seconds.toFixed(2)} s, checksums equal`);
  assertEquals(await sourceSeen(c1, c2, c2.address), c1.address, "containers see each other's own addresses");
  for (const [i, container] of containers.entries()) {
    assertEquals(
      await sourceSeen(container, net.outside, OUTSIDE),
      net.host(i + 1).ip,
      "masqueraded outside",
    );
  }
}

/** A member dies by kill -9 and comes back, under traffic. */
async function loseMember(etcd: HostEtcd, [c1, c2]: readonly Container[]): Promise<void> {
  const ping = startPing(c1!, c2!.address, 10);
  await ping.answers(50);
  await etcd.kill(2);
  await ping.answers(200);
  await etcd.restart(2);
  await ping.answers(200);
  const report = await ping.stop();
  say(`etcd member killed and restarted: sent ${report.sent}, received ${report.received}`);
  assertEquals(report.lost, []);
}

/** The daemons end when asked, with 0, and what they built stays. */
async function stopDaemons(daemons: readonly Process[], containers: readonly Container[]): Promise<void> {
  assertEquals(await Promise.all(daemons.map((daemon) => daemon.stop())), daemons.map(() => 0));
  assertEquals(await unreachablePairs(containers), []);
}
