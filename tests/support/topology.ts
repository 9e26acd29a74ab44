/**
 * Several hosts on one machine.
 *
 *        h1                 h2                         h3 (segment 1, where asked for)
 *   eth0 .64.11        eth0 .64.12                eth0 .65.13
 *        │                  │                          │
 *   ─────┴──── wire: bridge seg0 ────┬──         ──────┴─ wire: bridge seg1 ──┬──
 *                                    │ 192.168.64.1                           │ 192.168.65.1
 *                                    └────────────── outside ─────────────────┘
 *                                             203.0.113.1 (lo)
 *
 * Hosts have their default route through `outside`, which routes between the segments and stands for the rest of the world. It
 * knows no way back to any container network: a packet that leaves unmasqueraded gets no answer. Addresses are
 * `192.168.<64 + segment>.<10 + number>/24`, with `ipv6` also `fd00:<64 + segment>::<10 + number>/64`.
 */
import { createNamespace, Namespace, Place } from "./netns.ts";
import { say } from "./process.ts";

export interface TopologyOptions {
  readonly hosts: number;
  /** The segment of each host; all on segment 0 unless told. */
  readonly segments?: readonly number[];
  /** Of the underlay: 1500 unless told. */
  readonly mtu?: number;
  readonly ipv6?: boolean;
}

/** The address of the world outside. */
export const OUTSIDE = "203.0.113.1";

/** A host: its eth0 stands on the underlay. */
export interface Host extends Namespace {
  /** On eth0. */
  readonly ip: string;
  /** On eth0, where the topology has IPv6. */
  readonly ipv6: string;
}

/** A namespace that plays a container on a host's bridge. */
export interface PlainContainer extends Namespace {
  readonly address: string;
}

export class Topology implements AsyncDisposable {
  readonly hosts: Host[] = [];
  /** For files that all hosts may share; it goes with the topology. */
  readonly directory: string = Deno.makeTempDirSync({ prefix: "denim-scenario-" });
  outside!: Namespace;
  wire!: Namespace;
  readonly #tag = crypto.randomUUID().slice(0, 6);
  readonly #stack = new AsyncDisposableStack();
  readonly #places: Place[] = [];
  readonly #namespaces: Namespace[] = [];
  readonly #options: TopologyOptions;

  private constructor(options: TopologyOptions) {
    this.#options = options;
  }

  static async create(options: TopologyOptions): Promise<Topology> {
    const topology = new Topology(options);
    try {
      await topology.#build();
      return topology;
    } catch (error) {
      await topology[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The host with this number, from 1. */
  host(number: number): Host {
    return this.hosts[number - 1]!;
  }

  /**
   * A container without docker: a namespace on a bridge of the host.
   *
   * @param host where
   * @param gateway the bridge's address as in FLANNEL_SUBNET: `10.1.15.1/24`, or FLANNEL_IPV6_SUBNET
   * @param number the container's address is the gateway's plus this
   * @param mtu of its link; FLANNEL_MTU
   */
  async addContainer(host: Host, gateway: string, number = 1, mtu = 1450): Promise<PlainContainer> {
    const [bridgeIp, length] = gateway.split("/") as [string, string];
    const address = addToAddress(bridgeIp, number);
    const container = await this.#namespace(`${host.name}-c${number}`);
    await host.sh(`
      ip link show cbr0 > /dev/null 2>&1 || ip link add cbr0 mtu ${mtu} type bridge
      ip address replace ${gateway} dev cbr0 nodad
      ip link set cbr0 up
      ip link add c${number} mtu ${mtu} master cbr0 type veth peer name eth0 mtu ${mtu} netns ${container.pid}
      ip link set c${number} up`);
    await container.sh(`
      ip address add ${address}/${length} dev eth0 nodad
      ip link set eth0 up
      ip route add default via ${bridgeIp}`);
    return Object.assign(container, { address });
  }

  /** Disposes something together with the topology, before the namespaces go. */
  use<T extends AsyncDisposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  /** Adds a place whose processes `report` shows. */
  watch<T extends Place>(place: T): T {
    this.#places.push(place);
    return place;
  }

  /** Prints what every process of the topology said last. */
  report(): void {
    for (const place of this.#places) place.processes.forEach((process) => say(process.tail()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#stack.disposeAsync();
    } finally {
      await Promise.all(this.#namespaces.map((namespace) => namespace[Symbol.asyncDispose]()));
      // Still there only where not even the wire could be made.
      await Deno.remove(this.directory, { recursive: true }).catch(() => {});
    }
  }

  async #build(): Promise<void> {
    const { hosts, segments = [], mtu = 1500, ipv6 = false } = this.#options;
    this.wire = await this.#namespace("wire", this.directory);
    this.outside = await this.#namespace("outside");
    await this.outside.sh(`ip address add ${OUTSIDE}/32 dev lo; ${FORWARD}`);
    for (const segment of new Set([0, ...segments])) await this.#buildSegment(segment, mtu, ipv6);
    for (let number = 1; number <= hosts; number++) {
      this.hosts.push(await this.#buildHost(number, segments[number - 1] ?? 0, mtu, ipv6));
    }
  }

  async #buildSegment(segment: number, mtu: number, ipv6: boolean): Promise<void> {
    await this.wire.sh(`
      ip link add seg${segment} mtu ${mtu} type bridge
      ip link set seg${segment} up
      ip link add gw${segment} mtu ${mtu} master seg${segment} type veth peer name eth${segment} mtu ${mtu} netns ${this.outside.pid}
      ip link set gw${segment} up`);
    await this.outside.sh(`
      ip address add 192.168.${64 + segment}.1/24 dev eth${segment}
      ${ipv6 ? `ip address add fd00:${64 + segment}::1/64 dev eth${segment} nodad` : ""}
      ip link set eth${segment} up`);
  }

  async #buildHost(number: number, segment: number, mtu: number, ipv6: boolean): Promise<Host> {
    const host = await this.#namespace(`h${number}`);
    const ip = `192.168.${64 + segment}.${10 + number}`;
    const ip6 = `fd00:${64 + segment}::${10 + number}`;
    await this.wire.sh(`
      ip link add h${number} mtu ${mtu} master seg${segment} type veth peer name eth0 mtu ${mtu} netns ${host.pid}
      ip link set h${number} up`);
    await host.sh(`
      ${FORWARD}
      ip address add ${ip}/24 dev eth0
      ${ipv6 ? `ip address add ${ip6}/64 dev eth0 nodad` : ""}
      ip link set eth0 up
      ip route add default via 192.168.${64 + segment}.1
      ${ipv6 ? `ip -6 route add default via fd00:${64 + segment}::1` : ""}`);
    return Object.assign(host, { ip, ipv6: ip6 });
  }

  async #namespace(name: string, directory?: string): Promise<Namespace> {
    const namespace = await createNamespace(
      `denim-${this.#tag}-${name.replace(/^denim-\w+-/, "")}`,
      directory,
    );
    this.#namespaces.push(namespace);
    return this.watch(namespace);
  }
}

/** Registers a test on a topology of its own; what the processes said is printed when it fails. */
export function scenario(
  name: string,
  options: TopologyOptions,
  body: (net: Topology) => Promise<void>,
): void {
  Deno.test({ name, ignore: Deno.uid() !== 0, fn: () => inTopology(options, body) });
}

/** Registers one test of several scenarios that mostly wait: each on a topology of its own, all at the same time. */
export function scenariosTogether(
  name: string,
  parts: readonly (readonly [TopologyOptions, (net: Topology) => Promise<void>])[],
): void {
  const fn = async () => {
    const results = await Promise.allSettled(parts.map(([options, body]) => inTopology(options, body)));
    const failed = results.filter((result) => result.status === "rejected");
    if (failed.length > 0) throw new AggregateError(failed.map((result) => result.reason), messages(failed));
  };
  Deno.test({ name, ignore: Deno.uid() !== 0, fn });
}

function messages(failed: readonly PromiseRejectedResult[]): string {
  return failed.map(({ reason }) => reason instanceof Error ? reason.message : String(reason)).join("\n");
}

/** Runs `body` on a topology; what its processes said is printed where it fails. */
export async function inTopology(
  options: TopologyOptions,
  body: (net: Topology) => Promise<void>,
): Promise<void> {
  await using net = await Topology.create(options);
  try {
    await body(net);
  } catch (error) {
    net.report();
    throw error;
  }
}

const FORWARD = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";

/** `10.1.15.1` plus 2 is `10.1.15.3`, `fd00:1::1` plus 2 is `fd00:1::3`; never beyond the last part. */
function addToAddress(address: string, add: number): string {
  if (address.includes(":")) {
    return address.replace(/[0-9a-f]+$/, (last) => (parseInt(last, 16) + add).toString(16));
  }
  const octets = address.split(".").map(Number);
  octets[3]! += add;
  return octets.join(".");
}
