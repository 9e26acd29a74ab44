/**
 * An etcd cluster on the hosts of a topology: one member a host, clients by mutual TLS, all certificates on IP addresses. It goes
 * with the topology.
 */
import { Authority, type Identity } from "./certs.ts";
import { EtcdCluster, type EtcdMember } from "./etcd.ts";
import type { Topology } from "./topology.ts";

const PORTS = [2379, 2380] as const;

export class HostEtcd {
  private constructor(
    private readonly net: Topology,
    private readonly members: ReadonlyMap<number, EtcdMember>,
    private readonly cluster: EtcdCluster,
    /** What clients show and trust. */
    readonly client: Identity,
  ) {}

  /** @param numbers of the hosts that get a member; all unless told */
  static async start(net: Topology, numbers = net.hosts.map((_, i) => i + 1)): Promise<HostEtcd> {
    const hosts = numbers.map((number) => net.host(number));
    const authority = await Authority.create(net.directory);
    const tls = await authority.sign("server", { ips: hosts.map(({ ip }) => ip) });
    const client = await authority.sign("client", { server: false });
    const members = hosts.map(({ ip, enter }) => ({ ip, enter, ports: PORTS }));
    const cluster = net.use(await EtcdCluster.prepare({ members, tls, client, clientCa: authority.cert }));
    const byNumber = new Map(numbers.map((number, i) => [number, cluster.members[i]!]));
    const etcd = new HostEtcd(net, byNumber, cluster, client);
    for (const number of numbers) etcd.#launch(number);
    await cluster.ready();
    return etcd;
  }

  /** The daemon's flags for this cluster, as in the unit file; `other` replaces files or endpoints. */
  flags(other: Partial<Identity & { readonly endpoints: string }> = {}): string[] {
    const { ca, cert, key, endpoints } = { ...this.client, endpoints: this.cluster.endpoints, ...other };
    const tls = ["-etcd-cafile", ca, "-etcd-certfile", cert, "-etcd-keyfile", key];
    return [...tls, "-etcd-endpoints", endpoints];
  }

  /** A client's certificate by another authority, and that authority. */
  async stranger(): Promise<Identity> {
    const authority = await Authority.create(this.net.directory, "stranger-ca");
    return await authority.sign("stranger", { server: false });
  }

  /** etcdctl with the client's certificate; its standard output. */
  ctl(...args: string[]): Promise<string> {
    return this.cluster.ctl(...args);
  }

  /** kill -9 of the member on this host. */
  async kill(number: number): Promise<void> {
    await this.members.get(number)!.kill();
  }

  /** Starts a killed member again and waits until it answers. */
  async restart(number: number): Promise<void> {
    this.#launch(number);
    await this.cluster.ready();
  }

  #launch(number: number): void {
    const member = this.members.get(number)!;
    member.launch();
    this.net.host(number).processes.push(member.process!);
  }
}
