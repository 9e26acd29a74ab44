/**
 * An etcd cluster on the hosts of a topology: one member a host, clients by mutual TLS, all certificates on IP addresses. It goes
 * with the topology. Members can be killed, frozen, cut off from each other, and led by whom one wants.
 */
import { Authority, type Identity } from "./certs.ts";
import { EtcdCluster, type EtcdMember } from "./etcd.ts";
import { poll } from "./process.ts";
import type { Host, Topology } from "./topology.ts";

const PORTS = [2379, 2380] as const;

export class HostEtcd {
  private constructor(
    private readonly net: Topology,
    private readonly members: ReadonlyMap<number, EtcdMember>,
    readonly cluster: EtcdCluster,
    /** What clients show and trust. */
    readonly client: Identity,
  ) {}

  /** @param numbers of the hosts that get a member; all unless told */
  static async start(net: Topology, numbers = net.hosts.map((_, i) => i + 1)): Promise<HostEtcd> {
    const hosts = numbers.map((number) => net.host(number));
    const { tls, client } = await certify(net, hosts);
    const members = hosts.map(({ ip, enter }) => ({ ip, enter, ports: PORTS }));
    const cluster = net.use(await EtcdCluster.prepare({ members, tls, client, clientCa: tls.ca }));
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

  /** Replaces the authority and every certificate, at the same paths: members take them from their next start. */
  async rotate(): Promise<void> {
    await certify(this.net, this.#numbers.map((number) => this.net.host(number)));
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

  /** The member on the host with this number. */
  member(number: number): EtcdMember {
    return this.members.get(number)!;
  }

  /** Waits until these members have a leader that answers: what is written before is lost with the old one. */
  async elected(numbers: readonly number[]): Promise<void> {
    await poll(
      "a leader",
      20_000,
      () => this.ctlOn(numbers, "--command-timeout=1s", "get", "ready").then(() => true, () => false),
    );
  }

  /** etcdctl on the members of these hosts alone. */
  ctlOn(numbers: readonly number[], ...args: string[]): Promise<string> {
    const endpoints = numbers.map((number) => this.member(number).url).join(",");
    return this.ctl(`--endpoints=${endpoints}`, ...args);
  }

  /** kill -9 of the member on this host. */
  async kill(number: number): Promise<void> {
    await this.member(number).kill();
  }

  /** The member that the daemon on a host is connected to. */
  async usedBy(host: Host): Promise<number> {
    return await poll(`a connection from ${host.name} to etcd`, 10_000, async () => {
      const table = await host.run(["ss", "-Htnp", "state", "established", "dport", "=", `:${PORTS[0]}`]);
      const daemons = table.split("\n").filter((line) => /"(deno|flanneld)"/.test(line)).join("\n");
      return this.#numbers.find((number) => daemons.includes(`${this.net.host(number).ip}:${PORTS[0]} `));
    });
  }

  /** Makes this member the leader, or where `leader` is false any other. All members must run. */
  async lead(number: number, leader = true): Promise<void> {
    const { id, leads } = await this.#leadership(number);
    if (leads === leader) return;
    const next = leader ? id : (await this.#leadership(this.others(number)[0]!)).id;
    await this.ctl("move-leader", BigInt(next).toString(16));
    await poll(`another leader`, 10_000, async () => (await this.#leadership(number)).leads === leader);
  }

  /** All members but this one. */
  others(number: number): number[] {
    return this.#numbers.filter((other) => other !== number);
  }

  /** Cuts a member off from the others, not from its clients; `heal` ends that. */
  async isolate(number: number): Promise<void> {
    await this.net.host(number).sh(rules("-I"));
  }

  async heal(number: number): Promise<void> {
    await this.net.host(number).sh(rules("-D"));
  }

  get #numbers(): number[] {
    return [...this.members.keys()];
  }

  async #leadership(number: number): Promise<{ id: string; leads: boolean }> {
    const text = await this.ctlOn([number], "endpoint", "status", "-w", "json");
    // Larger than JavaScript's integers.
    const field = (name: string) => new RegExp(`"${name}":(\\d+)`).exec(text)?.[1] ?? "0";
    const id = field("member_id");
    return { id, leads: id === field("leader") };
  }

  /** Starts a killed member again and waits until it answers. */
  async restart(number: number): Promise<void> {
    this.#launch(number);
    await this.cluster.ready();
  }

  #launch(number: number): void {
    const member = this.member(number);
    member.launch();
    this.net.host(number).processes.push(member.process!);
  }
}

/** A new authority in the topology's directory; what it signs for members and clients. */
async function certify(net: Topology, hosts: readonly Host[]): Promise<{ tls: Identity; client: Identity }> {
  const authority = await Authority.create(net.directory);
  const tls = await authority.sign("server", { ips: hosts.map(({ ip }) => ip) });
  return { tls, client: await authority.sign("client", { server: false }) };
}

/** What members say to each other, in both directions and on connections that stand already. */
function rules(verb: "-I" | "-D"): string {
  const chains = ["INPUT", "OUTPUT"].flatMap((chain) =>
    ["--dport", "--sport"].map((side) => `${chain} -p tcp ${side}`)
  );
  return chains.map((match) => `iptables -w ${verb} ${match} ${PORTS[1]} -j DROP`).join("\n");
}
