/**
 * Two hosts and a container on each, for everything that carries packets between them, side by side:
 *
 *   c1 eth0 ── c h1 eth0 ────── veth, MTU 1500 ────── eth0 h2 c ── eth0 c2
 *              10.99.0.1 fd99::1          fd99::2 10.99.0.2
 *
 * Every way between the hosts has a number and networks of its own, so that all stand at once and none has to be set up again
 * during the measurement: way n carries 10.n.0.0/16 and fd01:n::/32, container 1 being 10.n.1.2 and fd01:n:1::2. The kernel's
 * settings are its defaults, but for forwarding.
 */
import { createNamespace, type Namespace } from "../tests/support/netns.ts";

/** A way between the hosts. */
export interface Way {
  readonly name: string;
  readonly number: number;
}

export const HOSTS = [1, 2] as const;
export type HostNumber = typeof HOSTS[number];

/** In the underlay. */
export function hostAddress(host: HostNumber): string {
  return `10.99.0.${host}`;
}

export function containerAddress({ number }: Way, host: HostNumber, family: 4 | 6 = 4): string {
  return family === 4 ? `10.${number}.${host}.2` : `fd01:${number}:${host}::2`;
}

/** The IPv4 and the IPv6 subnet of a host. */
export function subnets(number: number, host: HostNumber): [string, string] {
  return [`10.${number}.${host}.0/24`, `fd01:${number}:${host}::/64`];
}

export class UdpLab implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  #ways = 0;

  private constructor(readonly hosts: readonly Namespace[], readonly containers: readonly Namespace[]) {
    for (const place of [...hosts, ...containers]) this.#stack.use(place);
  }

  static async create(): Promise<UdpLab> {
    const place = (name: string) => createNamespace(`bench-${Deno.pid}-${name}`);
    const lab = new UdpLab([await place("h1"), await place("h2")], [await place("c1"), await place("c2")]);
    await lab.host(1).sh(`ip link add eth0 type veth peer name eth0 netns ${lab.host(2).pid}`);
    for (const host of HOSTS) await lab.#build(host);
    return lab;
  }

  host(number: HostNumber): Namespace {
    return this.hosts[number - 1]!;
  }

  container(number: HostNumber): Namespace {
    return this.containers[number - 1]!;
  }

  /** Registers what must end before the hosts do. */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    return this.#stack.use(resource);
  }

  /** A new way's networks as far as the containers; `mtu` is that of the way. */
  async way(name: string, mtu: number): Promise<Way> {
    const way = { name, number: ++this.#ways };
    for (const host of HOSTS) {
      const other = 3 - host as HostNumber;
      const [v4, v6] = subnets(way.number, other);
      await this.host(host).sh(`
        ip address add 10.${way.number}.${host}.1/24 dev c
        ip address add fd01:${way.number}:${host}::1/64 dev c nodad`);
      await this.container(host).sh(`
        ip address add 10.${way.number}.${host}.2/24 dev eth0
        ip address add fd01:${way.number}:${host}::2/64 dev eth0 nodad
        ip route add ${v4} via 10.${way.number}.${host}.1 mtu ${mtu}
        ip route add ${v6} via fd01:${way.number}:${host}::1 src fd01:${way.number}:${host}::2 mtu ${mtu}`);
    }
    return way;
  }

  /** Whether the devices of the underlay take super-packets from the kernel, or only what goes over the wire. */
  async offload(on: boolean): Promise<void> {
    const features = ["tx-udp-segmentation", "tso", "gso"].flatMap((name) => [name, on ? "on" : "off"]);
    for (const host of this.hosts) await host.run(["ethtool", "-K", "eth0", ...features]);
  }

  async #build(number: HostNumber): Promise<void> {
    const [host, container] = [this.host(number), this.container(number)];
    await host.sh(`
      echo 1 > /proc/sys/net/ipv4/ip_forward
      echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
      ip address add ${hostAddress(number)}/24 dev eth0
      ip address add fd99::${number}/64 dev eth0 nodad
      ip link set eth0 up
      ip link add c type veth peer name eth0 netns ${container.pid}
      ip link set c up`);
    await container.sh("ip link set eth0 up");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
