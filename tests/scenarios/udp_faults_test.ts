/**
 * Backend udp while its surroundings fail: a path with another MTU, offloads that go away, queues that are full, a flood of
 * garbage. A TCP stream each way has to go on as it was, and no daemon may end, grow or keep anything.
 *
 *   c1 ── cbr0 ── h1 ─ eth0 ──┬── 192.168.64.0/24 ──┬── eth0 ─ h2 ── cbr0 ── c2
 *                             └ h3 (a stranger)     └ outside ── another segment
 */
import { assert, assertEquals } from "@std/assert";
import { Bulk } from "../support/bulk.ts";
import { cProgram } from "../support/c_program.ts";
import { health, launchReady } from "../support/daemon.ts";
import type { Place } from "../support/netns.ts";
import { containerOn, linkOf, sqliteArgs } from "../support/overlay.ts";
import { poll, type Process, say } from "../support/process.ts";
import { type Host, type PlainContainer, scenario, type Topology } from "../support/topology.ts";
import { ping, reachable } from "../support/traffic.ts";
import { drops } from "../support/tunnel_metrics.ts";
import { type Vitals, vitals } from "../support/vitals.ts";

const PORT = 7890;
const CONFIG = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: "udp", Port: PORT } };
const DEADLINE = 15_000;
/** What a daemon may grow by, in KiB: its own garbage, that is collected when it likes. */
const ROOM = 12_000;

scenario("udp: a peer restarts with another MTU, and back", { hosts: 2, segments: [0, 1] }, async (net) => {
  const run = await FaultRun.start(net);
  const [, h2] = net.hosts as [Host, Host];
  for (const mtu of [1300, 1500]) {
    await net.wire.sh(`for device in seg1 gw1 h2; do ip link set $device mtu ${mtu}; done`);
    await net.outside.run(["ip", "link", "set", "eth1", "mtu", String(mtu)]);
    await h2.run(["ip", "link", "set", "eth0", "mtu", String(mtu)]);
    await poll("the new MTU", DEADLINE, async () => (await linkOf(h2, "flannel0")).mtu === mtu - 28);
    await run.goesOn();
    await run.restart(h2);
    assertEquals((await linkOf(h2, "flannel0")).mtu, mtu - 28);
    await run.goesOn();
  }
  await run.end();
});

scenario("udp: the underlay's offloads go away under way", { hosts: 2 }, async (net) => {
  const run = await FaultRun.start(net);
  const [h1] = net.hosts as [Host];
  for (const off of ["gso off tso off tx-udp-segmentation off", "tx off sg off"]) {
    await h1.sh(`ethtool -K eth0 ${off} > /dev/null`);
    const longest = await longestFrame(h1);
    assert(longest <= 1514, `a frame of ${longest} bytes`);
    await run.goesOn();
  }
  await h1.sh("ethtool -K eth0 tx on sg on gso on tso on tx-udp-segmentation on > /dev/null");
  await run.goesOn();
  await run.end();
});

scenario("udp: a daemon that stands still for a while fills its socket", { hosts: 2 }, async (net) => {
  const run = await FaultRun.start(net);
  const h2 = net.host(2);
  const before = await counter(h2, "UdpRcvbufErrors");
  run.daemon(h2).signal("SIGSTOP");
  await noise(run.c1, run.c2.address, 1000);
  const lost = await counter(h2, "UdpRcvbufErrors") - before;
  say(`${lost} datagrams did not fit into the socket`);
  assert(lost > 0);
  run.daemon(h2).signal("SIGCONT");
  await run.goesOn();
  await run.end();
});

scenario("udp: a slow underlay fills the sending socket", { hosts: 2 }, async (net) => {
  const run = await FaultRun.start(net);
  const h1 = net.host(1);
  await h1.sh("tc qdisc add dev eth0 root tbf rate 20mbit burst 64kb limit 64mb");
  const flood = noise(run.c1, run.c2.address, 1000);
  await poll("packets without room", DEADLINE, async () => (await drops(h1)).busy! > 0);
  await flood;
  say(`${(await drops(h1)).busy} packets found no room`);
  await h1.sh("tc qdisc del dev eth0 root");
  await run.goesOn();
  await run.end();
});

scenario("udp: a flood of garbage, from a stranger and from a peer's address", { hosts: 3 }, async (net) => {
  const run = await FaultRun.start(net);
  const [h1, h2, h3] = net.hosts as [Host, Host, Host];
  const flood = () => Promise.all([h2, h3].map((from) => noise(from, h1.ip, 1000, PORT)));
  await flood();
  const [start, before] = [await vitals(run.daemon(h1)), await drops(h1)];
  const sent = (await flood()).reduce((sum, count) => sum + count, 0);
  await run.goesOn();
  const [end, after] = [await vitals(run.daemon(h1)), await drops(h1)];
  for (const reason of ["stranger", "malformed", "spoofed"]) {
    say(`${reason}: ${after[reason]! - before[reason]!} of ${sent}`);
    assert(after[reason]! > before[reason]! + 100, reason);
  }
  const grown = end.memory - start.memory;
  say(`${grown} KiB more than ${start.memory}`);
  assert(grown < ROOM, `${grown} KiB more for ${sent} datagrams`);
  await run.end();
});

/** Two daemons, a container on each host, and a stream each way. */
class FaultRun {
  readonly #daemons = new Map<Host, Process>();
  readonly #before = new Map<Host, Vitals>();
  readonly #bulks: Bulk[] = [];
  #args: string[] = [];
  c1!: PlainContainer;
  c2!: PlainContainer;

  static async start(net: Topology): Promise<FaultRun> {
    const run = new FaultRun();
    const hosts = net.hosts.slice(0, 2);
    run.#args = [...await sqliteArgs(net, CONFIG), "-healthz-port", "300"];
    await Promise.all(hosts.map(async (host) => run.#daemons.set(host, await launchReady(host, run.#args))));
    run.c1 = await containerOn(net, net.host(1));
    run.c2 = await containerOn(net, net.host(2));
    await reachable(run.c1, run.c2.address);
    for (const host of hosts) run.#before.set(host, await run.#vitals(host));
    run.#bulks.push(await Bulk.start(run.c1, run.c2, 5001), await Bulk.start(run.c2, run.c1, 5002));
    return run;
  }

  daemon(host: Host): Process {
    return this.#daemons.get(host)!;
  }

  async goesOn(): Promise<void> {
    const start = performance.now();
    await Promise.all(this.#bulks.map((bulk) => bulk.goesOn()));
    say(`1 MB more each way in ${Math.round(performance.now() - start)} ms`);
  }

  async restart(host: Host): Promise<void> {
    assertEquals(await this.daemon(host).stop(), 0);
    this.#daemons.set(host, await launchReady(host, this.#args));
    await reachable(this.c1, this.c2.address);
    this.#before.set(host, await this.#vitals(host));
  }

  /** All has arrived, and the daemons hold what they held. */
  async end(): Promise<void> {
    for (const bulk of this.#bulks) {
      const { sent, received } = await bulk.stop();
      assertEquals(received, sent);
    }
    assertEquals(await ping(this.c1, this.c2.address, 3), true);
    for (const [host, before] of this.#before) {
      assertEquals((await health(host, "/healthz")).status, 200);
      await poll("as few descriptors and threads as before", DEADLINE, async () => {
        const now = await this.#vitals(host);
        return now.descriptors <= before.descriptors && now.threads <= before.threads;
      });
    }
  }

  /** After it has answered once: the server's own things are there from then on. */
  async #vitals(host: Host): Promise<Vitals> {
    await health(host, "/metrics");
    return await vitals(this.daemon(host));
  }
}

/** Random datagrams for so long; how many. */
async function noise(from: Place, to: string, milliseconds: number, port = 9): Promise<number> {
  const words = ["noise", to, port, milliseconds, 1].map(String);
  return Number(await from.run([await cProgram("datagrams"), ...words]));
}

async function counter(place: Place, name: string): Promise<number> {
  const { kernel } = await place.json<{ kernel: Record<string, number> }>("nstat", "-asz", "--json", name);
  return kernel[name]!;
}

/** Of the next hundred that carry the tunnel's datagrams out, in bytes. */
async function longestFrame(host: Host): Promise<number> {
  const words = ["tcpdump", "-n", "-e", "-i", "eth0", "-Q", "out", "-c", "100", "udp", "port", String(PORT)];
  const lengths = (await host.run(words)).matchAll(/, length (\d+): /g);
  return Math.max(...[...lengths].map(([, length]) => Number(length)));
}
