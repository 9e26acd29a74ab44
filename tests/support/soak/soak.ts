/**
 * A long run: hosts with real daemons (vxlan) on one etcd with mutual TLS (its v3 or its v2 API), many further leases that change all the time, and
 * faults at random. In its own namespaces (`bench/enclosure.ts`).
 *
 *        h1        h2   …   h20
 *   ─────┴─────────┴─────────┴───── wire: bridge seg0 ──┬── outside .64.1: etcd
 *                                                       └── soak .64.2: the one who changes leases
 *
 * All along, what every daemon holds is sampled. In the end every host has to have exactly what etcd's leases ask for within
 * `CONVERGED_MS`, base and subnet as at the start, answer its neighbour through the overlay and call itself ready; nothing may have
 * grown (`trend.ts`), no daemon may have ended by itself, and nothing may be left.
 */
import { networkConfig } from "../../../bench/leases.ts";
import { messageOf } from "../../../src/model/errors.ts";
import { seededRandom } from "../clock.ts";
import { health, subnetEnv } from "../daemon.ts";
import { pause, run, say } from "../process.ts";
import { Topology } from "../topology.ts";
import { ping } from "../traffic.ts";
import { Chaos } from "./chaos.ts";
import { Churn } from "./churn.ts";
import { Fleet, type SoakHost } from "./fleet.ts";
import { Gateway } from "./gateway.ts";
import { leftovers } from "./leftovers.ts";
import type { SoakOptions } from "./options.ts";
import { type Sample, Sampler } from "./sampler.ts";
import { growthProblems } from "./trend.ts";
import { difference, standingBase, standingPeers, wantedPeers } from "./wanted.ts";

/** From the last fault on; a full read-back of everything, the slowest way to see damage, comes after 60 to 75 s. */
const CONVERGED_MS = 90_000;
/** Between standing still and the last samples: pools give back what they hold. */
const REST_MS = 12_000;
const HEALTH_PORT = 300;

export interface Result {
  readonly samples: readonly Sample[];
  readonly chaos: Chaos;
  readonly churn: Churn["counts"];
  /** Milliseconds from the end of the faults until a host had everything, by host. */
  readonly converged: ReadonlyMap<string, number>;
  /** How often a daemon was started, by host. */
  readonly lives: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
}

/** Runs it; what the daemons of hosts with problems said last is printed. */
export async function soak(options: SoakOptions): Promise<Result> {
  let result: Result;
  {
    await using net = await Topology.create({ hosts: options.hosts });
    result = await new Soak(net, options).run();
    for (const { name, processes } of net.hosts) {
      const number = /h\d+$/.exec(name)![0];
      const named = result.problems.some((problem) => new RegExp(`\\b${number}\\b`).test(problem));
      if (named) processes.forEach((process) => say(process.tail()));
    }
  }
  return { ...result, problems: [...result.problems, ...await leftovers()] };
}

class Soak {
  readonly #problems: string[] = [];
  readonly #bases = new Map<SoakHost, readonly string[]>();
  readonly #converged = new Map<string, number>();

  constructor(private readonly net: Topology, private readonly options: SoakOptions) {}

  async run(): Promise<Result> {
    const { hosts, leases, rate, seconds, every, seed, sample, api, json } = this.options;
    await joinUnderlay(this.net);
    const gateway = await Gateway.start(this.net, api);
    await gateway.configure(networkConfig());
    const churn = new Churn(gateway, leases, seededRandom(seed + 1));
    await churn.fill();
    const fleet = new Fleet(this.net.hosts, [...gateway.flags, "-ip-masq", `-healthz-port=${HEALTH_PORT}`]);
    await fleet.start();
    await this.#converge(fleet, gateway, "at the start");
    for (const host of fleet.hosts) this.#bases.set(host, await standingBase(host.place));
    say(`${hosts} daemons stand with ${leases} further leases; faults begin`);

    const sampler = new Sampler(fleet, () => churn.present.length + hosts - 1, json);
    const chaos = new Chaos({ net: this.net, gateway, fleet, churn }, seededRandom(seed));
    churn.start(rate);
    sampler.start(sample);
    await chaos.run(seconds, every);
    await churn.stop();
    await this.#converge(fleet, gateway, "in the end");
    await pause(REST_MS);
    await sampler.stop();
    await sampler.take();
    await this.#reach(fleet);
    await this.#stop(fleet);
    this.#problems.push(...fleet.deaths, ...chaos.broken, ...growthProblems(sampler.samples));
    return {
      samples: sampler.samples,
      chaos,
      churn: churn.counts,
      converged: this.#converged,
      lives: new Map(fleet.hosts.map(({ name, life }) => [name, life])),
      problems: this.#problems,
    };
  }

  /** Waits until every host has exactly what it has to have. */
  async #converge(fleet: Fleet, gateway: Gateway, when: string): Promise<void> {
    const start = performance.now();
    let open = [...fleet.hosts];
    let reasons: string[] = [];
    while (open.length > 0 && performance.now() - start < CONVERGED_MS) {
      const still: SoakHost[] = [];
      // A host whose own lease was deleted puts it again.
      const leases = await gateway.list();
      reasons = [];
      for (const host of open) {
        const found = await this.#missing(host, leases).catch((error) => [messageOf(error)]);
        if (found.length === 0) this.#converged.set(host.name, Math.round(performance.now() - start));
        else still.push(host), reasons.push(`${host.name}, ${when}:\n  ${found.join("\n  ")}`);
      }
      open = still;
      if (open.length > 0) await pause(200);
    }
    this.#problems.push(
      ...reasons.map((reason) => `not converged within ${CONVERGED_MS / 1000} s: ${reason}`),
    );
  }

  /** What keeps a host from having all it has to have, and nothing else. */
  async #missing(host: SoakHost, leases: ReadonlyMap<string, string>): Promise<string[]> {
    const { FLANNEL_SUBNET = "" } = await subnetEnv(host.place);
    const own = FLANNEL_SUBNET.replace(/\.1\/24$/, ".0-24");
    const value = leases.get(own);
    if (value === undefined) return [`etcd has no lease "${own}"`];
    const { PublicIP, BackendData: { VtepMAC } } = JSON.parse(value);
    if (PublicIP !== host.place.ip) return [`the lease "${own}" is ${PublicIP}'s`];
    const standing = await standingPeers(host.place);
    const objects = standing.some((line) => line.startsWith("nexthop"));
    const found = difference(wantedPeers(leases, own, objects), standing);
    const base = this.#bases.get(host);
    if (base !== undefined) {
      // A device whose MAC was rewritten while no daemon ran keeps it, and the record says so.
      const now = base.map((line) => line.replace(/ether \S+/, `ether ${VtepMAC}`));
      found.push(...difference(now, await standingBase(host.place)));
    }
    if (found.length > 0) return found;
    const { status, body } = await health(host.place, "/readyz", HEALTH_PORT);
    return status === 200 ? [] : [`not ready: ${body.trim()}`];
  }

  /** Every host's device answers the host before it. */
  async #reach({ hosts }: Fleet): Promise<void> {
    const addresses = await Promise.all(hosts.map(async ({ place }) => {
      return (await subnetEnv(place)).FLANNEL_SUBNET!.replace(/\.1\/24$/, ".0");
    }));
    for (const [i, host] of hosts.entries()) {
      const to = (i + 1) % hosts.length;
      if (!await ping(host.place, addresses[to]!, 3)) {
        this.#problems.push(`${hosts[to]!.name} does not answer ${host.name} through the overlay`);
      }
    }
  }

  async #stop({ hosts }: Fleet): Promise<void> {
    const codes = await Promise.all(hosts.map((host) => host.end("SIGTERM").catch(messageOf)));
    for (const [i, code] of codes.entries()) {
      if (code !== 0) this.#problems.push(`${hosts[i]!.name}: asked to stop, the daemon ended with ${code}`);
    }
  }
}

/** This process's own network namespace gets a foot on the underlay. */
async function joinUnderlay({ wire }: Topology): Promise<void> {
  await run(["ip", "link", "add", "soak", "type", "veth", "peer", "name", "soak", "netns", String(wire.pid)]);
  await wire.sh("ip link set soak master seg0 up");
  await run(["ip", "address", "add", "192.168.64.2/24", "dev", "soak"]);
  await run(["ip", "link", "set", "soak", "up"]);
}
