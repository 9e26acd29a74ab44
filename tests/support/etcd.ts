/**
 * Real etcd members for tests: one or several, plain, TLS, mutual TLS or with users; on loopback, or on given addresses inside
 * namespaces. They can be stopped, killed, frozen, started again, and restored from a backup.
 *
 * Data lies in a temporary directory in memory where there is one, and goes with the cluster. A member that can't be started
 * shows its last lines.
 */
import { type Identity } from "./certs.ts";
import { type Output, output, poll, Process, run } from "./process.ts";

export interface EtcdOptions {
  /** One for each member; one member on loopback unless told. */
  readonly members?: readonly MemberOptions[];
  /** The server's certificate for clients; plain text unless given. */
  readonly tls?: Identity;
  /** Clients must show a certificate of this authority. */
  readonly clientCa?: string;
  /** For etcdctl, where clients must show a certificate. */
  readonly client?: Identity;
  /** Further flags of etcd. */
  readonly flags?: readonly string[];
}

export interface MemberOptions {
  /** Loopback unless given. */
  readonly ip?: string;
  /** Of clients and of members; free ones unless given. */
  readonly ports?: readonly [number, number];
  /** The command prefix that enters a namespace: `["ip", "netns", "exec", "h1"]`. */
  readonly enter?: readonly string[];
}

/** The ports were free a moment ago. */
export function freePorts(count: number, hostname = "127.0.0.1"): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname, port: 0 }));
  const ports = listeners.map((listener) => listener.addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

/** A directory for data that need not survive: in memory where possible, so that fsync costs nothing. */
export async function fastDirectory(): Promise<string> {
  const memory = await Deno.stat("/dev/shm").then(({ isDirectory }) => isDirectory, () => false);
  return await Deno.makeTempDir({ prefix: "etcd-", ...(memory && { dir: "/dev/shm" }) });
}

/** One etcd process and its data. */
export class EtcdMember {
  process: Process | null = null;

  constructor(
    readonly name: string,
    /** What clients connect to. */
    readonly url: string,
    readonly peerUrl: string,
    readonly directory: string,
    readonly enter: readonly string[],
    private readonly command: () => readonly string[],
  ) {}

  /** Starts the process; see `EtcdCluster.ready`. */
  launch(): void {
    this.process = new Process(this.name, [...this.enter, ...this.command()]);
  }

  async stop(): Promise<void> {
    await this.process?.stop("SIGTERM");
  }

  /** SIGKILL: nothing is said to anybody. */
  async kill(): Promise<void> {
    await this.process?.stop("SIGKILL");
  }

  /**
   * The process stands still; its connections stay open. Every thread does when this returns: on a busy machine one may run on
   * for a while.
   */
  freeze(): void {
    if (this.process === null) return;
    this.process.signal("SIGSTOP");
    const threads = `/proc/${this.process.pid}/task`;
    // A thread that has ended in between stands still as well.
    const stands = (thread: string) => {
      try {
        return /^State:\s+T/m.test(Deno.readTextFileSync(`${threads}/${thread}/status`));
      } catch {
        return true;
      }
    };
    while (![...Deno.readDirSync(threads)].every(({ name }) => stands(name)));
  }

  thaw(): void {
    this.process?.signal("SIGCONT");
  }
}

/** Whether it answers is the question, not whether its certificate is right. */
const ASK = ["--command-timeout=1s", "--insecure-skip-tls-verify"];

export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdMember[];
  readonly #directory: string;
  readonly #options: EtcdOptions;

  private constructor(directory: string, options: EtcdOptions) {
    this.#directory = directory;
    this.#options = options;
    const scheme = options.tls === undefined ? "http" : "https";
    this.members = (options.members ?? [{}]).map(({ ip = "127.0.0.1", ports, enter = [] }, i) => {
      const [client, peer] = ports ?? freePorts(2);
      const url = `${scheme}://${ip}:${client}`;
      const data = `${directory}/m${i}`;
      return new EtcdMember(`m${i}`, url, `http://${ip}:${peer}`, data, enter, () => this.#command(i));
    });
  }

  /** Starts a cluster and waits until it answers. */
  static async start(options: EtcdOptions = {}): Promise<EtcdCluster> {
    const cluster = await EtcdCluster.prepare(options);
    try {
      for (const member of cluster.members) member.launch();
      await cluster.ready();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A cluster whose members are not started yet. */
  static async prepare(options: EtcdOptions = {}): Promise<EtcdCluster> {
    return new EtcdCluster(await fastDirectory(), options);
  }

  /** As `-etcd-endpoints` takes them. */
  get endpoints(): string {
    return this.members.map(({ url }) => url).join(",");
  }

  /** Waits until every member that runs answers a linearizable read. */
  async ready(): Promise<void> {
    for (const member of this.members) {
      if (!member.process?.running) continue;
      await poll(`an answer of etcd ${member.name}`, 120_000, async () => {
        if (!member.process?.running) throw new Error(`start etcd: it ended\n${member.process?.tail()}`);
        const { code, stderr } = await this.#etcdctl([...ASK, "get", "ready"], member.url);
        // With users, a refusal is an answer.
        return code === 0 || /user name is empty|permission denied/.test(stderr);
      });
    }
  }

  /**
   * etcdctl on all members (or those of `--endpoints`) with API version 3; its standard output.
   *
   * @throws Error where it fails
   */
  ctl(...args: string[]): Promise<string> {
    return run(this.#ctlCommand(args, this.endpoints), { env: { ETCDCTL_API: "3" } });
  }

  /** The same with API version 2, where etcd runs with `--enable-v2`. */
  ctl2(...args: string[]): Promise<string> {
    const { tls, client } = this.#options;
    const own = client === undefined ? [] : [`--cert-file=${client.cert}`, `--key-file=${client.key}`];
    const ca = tls === undefined ? [] : [`--ca-file=${tls.ca}`];
    const command = ["etcdctl", `--endpoints=${this.endpoints}`, ...ca, ...own, ...args];
    return run([...this.members[0]!.enter, ...command], { env: { ETCDCTL_API: "2" } });
  }

  /** Several changes in one transaction, in etcdctl's language: `put key "value"`; 128 at most. */
  async transact(changes: readonly string[]): Promise<void> {
    const input = `\n${changes.join("\n")}\n\n\n`;
    await run(this.#ctlCommand(["txn"], this.endpoints), { env: { ETCDCTL_API: "3" }, input });
  }

  #etcdctl(args: readonly string[], endpoint: string): Promise<Output> {
    return output(this.#ctlCommand(args, endpoint), { env: { ETCDCTL_API: "3" } });
  }

  #ctlCommand(args: readonly string[], endpoints: string): string[] {
    const { tls, client } = this.#options;
    const own = client === undefined ? [] : [`--cert=${client.cert}`, `--key=${client.key}`];
    const ca = tls === undefined ? [] : [`--cacert=${tls.ca}`];
    const given = args.some((arg) => arg.startsWith("--endpoints"));
    return [
      ...this.members[0]!.enter,
      "etcdctl",
      ...(given ? [] : [`--endpoints=${endpoints}`]),
      ...ca,
      ...own,
      ...args,
    ];
  }

  /** Turns users on: `root`, and `name` who may do everything below `prefix`. */
  async enableUsers(name: string, password: string, prefix: string, rootPassword = "r00t"): Promise<void> {
    await this.ctl("user", "add", `root:${rootPassword}`);
    await this.ctl("user", "grant-role", "root", "root").catch(() => this.ctl("role", "add", "root"));
    await this.ctl("role", "add", "overlay");
    await this.ctl("role", "grant-permission", "--prefix=true", "overlay", "readwrite", prefix);
    await this.ctl("user", "add", `${name}:${password}`);
    await this.ctl("user", "grant-role", name, "overlay");
    await this.ctl("auth", "enable");
  }

  /** Writes a backup of the first member. */
  async backup(file: string): Promise<void> {
    await this.ctl(`--endpoints=${this.members[0]!.url}`, "snapshot", "save", file);
  }

  /** Replaces the data of a stopped single member by a backup: same address, older revision. */
  async restore(file: string): Promise<void> {
    const [member] = this.members;
    await Deno.remove(member!.directory, { recursive: true });
    const { name, peerUrl, directory } = member!;
    const identity = [`--name=${name}`, `--initial-cluster=${name}=${peerUrl}`];
    const place = [`--initial-advertise-peer-urls=${peerUrl}`, `--data-dir=${directory}`];
    await this.ctl("snapshot", "restore", file, ...identity, ...place);
  }

  #command(index: number): string[] {
    const { tls, clientCa, flags = [] } = this.#options;
    const { name, url, peerUrl, directory } = this.members[index]!;
    return [
      "etcd",
      `--name=${name}`,
      `--data-dir=${directory}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${this.members.map((m) => `${m.name}=${m.peerUrl}`).join(",")}`,
      "--logger=zap",
      "--log-level=error",
      "--unsafe-no-fsync",
      ...(tls === undefined ? [] : [`--cert-file=${tls.cert}`, `--key-file=${tls.key}`]),
      ...(clientCa === undefined ? [] : ["--client-cert-auth", `--trusted-ca-file=${clientCa}`]),
      ...flags,
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.members) await process?.[Symbol.asyncDispose]();
    await Deno.remove(this.#directory, { recursive: true }).catch(() => {});
  }
}
