/**
 * An etcd cluster on the hosts of a topology: one member a host, everything mutual TLS, all certificates on IP addresses.
 * Members are killed with SIGKILL and started again on the same data. Data and keys lie in the topology's directory.
 */
import { poll, type Process, run } from "./process.ts";
import type { Host, Topology } from "./topology.ts";

/** Paths of PEM files. */
export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export class EtcdCluster {
  readonly #members = new Map<number, Process>();

  private constructor(
    readonly net: Topology,
    readonly numbers: readonly number[],
    readonly server: Identity,
    /** What clients show and trust. */
    readonly client: Identity,
  ) {}

  /** @param numbers of the hosts that get a member; all unless told */
  static async start(net: Topology, numbers = net.hosts.map((_, i) => i + 1)): Promise<EtcdCluster> {
    const ca = await makeCa(net.directory, "ca");
    const addresses = numbers.map((n) => `IP:${net.host(n).ip}`).join(",");
    const server = await sign(ca, "server", `subjectAltName=${addresses}`);
    const cluster = new EtcdCluster(
      net,
      numbers,
      server,
      await sign(ca, "client", "basicConstraints=CA:FALSE"),
    );
    for (const number of numbers) cluster.#launch(number);
    await cluster.#healthy();
    return cluster;
  }

  /** `https://192.168.64.11:2379` and so on. */
  get endpoints(): string[] {
    return this.numbers.map((n) => clientUrl(this.net.host(n)));
  }

  /** The daemon's flags for this cluster, as in the unit file; `other` replaces files or endpoints. */
  flags(other: Partial<Identity & { readonly endpoints: string }> = {}): string[] {
    const { ca, cert, key, endpoints } = { ...this.client, endpoints: this.endpoints.join(","), ...other };
    const tls = ["-etcd-cafile", ca, "-etcd-certfile", cert, "-etcd-keyfile", key];
    return [...tls, "-etcd-endpoints", endpoints];
  }

  /** A certificate of another authority, and that authority. */
  async stranger(): Promise<Identity> {
    return await sign(
      await makeCa(this.net.directory, "stranger-ca"),
      "stranger",
      "basicConstraints=CA:FALSE",
    );
  }

  /** Runs etcdctl with the client's certificate; its standard output. */
  async ctl(...args: string[]): Promise<string> {
    const { ca, cert, key } = this.client;
    const host = this.net.host(this.numbers[0]!);
    const tls = [`--cacert=${ca}`, `--cert=${cert}`, `--key=${key}`];
    const endpoints = `--endpoints=${this.endpoints.join(",")}`;
    return await host.run(["etcdctl", endpoints, ...tls, ...args], { env: { ETCDCTL_API: "3" } });
  }

  /** kill -9 of the member on this host. */
  async kill(number: number): Promise<void> {
    await this.#members.get(number)!.stop("SIGKILL");
  }

  /** Starts a killed member again and waits until the cluster is whole. */
  async restart(number: number): Promise<void> {
    this.#launch(number);
    await this.#healthy();
  }

  #launch(number: number): void {
    const host = this.net.host(number);
    const { ca, cert, key } = this.server;
    const options = {
      "name": `m${number}`,
      "data-dir": `${this.net.directory}/etcd-${number}`,
      "listen-client-urls": clientUrl(host),
      "advertise-client-urls": clientUrl(host),
      "listen-peer-urls": peerUrl(host),
      "initial-advertise-peer-urls": peerUrl(host),
      "initial-cluster": this.numbers.map((n) => `m${n}=${peerUrl(this.net.host(n))}`).join(","),
      ...{ "trusted-ca-file": ca, "cert-file": cert, "key-file": key, "client-cert-auth": "true" },
      ...{ "peer-trusted-ca-file": ca, "peer-cert-file": cert, "peer-key-file": key },
      ...{ "peer-client-cert-auth": "true", "unsafe-no-fsync": "true" },
    };
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    this.#members.set(number, host.start("etcd", ["etcd", ...args]));
  }

  async #healthy(): Promise<void> {
    await poll(
      "a healthy etcd cluster",
      30_000,
      () => this.ctl("endpoint", "health").then(() => true, () => false),
    );
  }
}

function clientUrl(host: Host): string {
  return `https://${host.ip}:2379`;
}

function peerUrl(host: Host): string {
  return `https://${host.ip}:2380`;
}

/** A certificate authority: its certificate's path without the suffix. */
async function makeCa(directory: string, name: string): Promise<string> {
  const path = `${directory}/${name}`;
  await openssl(
    "req -x509 -days 2 -out",
    `${path}.pem`,
    "-keyout",
    `${path}.key`,
    "-subj",
    `/CN=${name}`,
    NEW_KEY,
  );
  return path;
}

async function sign(ca: string, name: string, extension: string): Promise<Identity> {
  const path = `${ca}-${name}`;
  await Deno.writeTextFile(`${path}.ext`, `${extension}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  await openssl("req -out", `${path}.csr`, "-keyout", `${path}.key`, "-subj", `/CN=${name}`, NEW_KEY);
  const from = ["-in", `${path}.csr`, "-CA", `${ca}.pem`, "-CAkey", `${ca}.key`, "-extfile", `${path}.ext`];
  await openssl("x509 -req -days 2 -CAcreateserial -out", `${path}.pem`, ...from);
  return { ca: `${ca}.pem`, cert: `${path}.pem`, key: `${path}.key` };
}

const NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/** Words that contain a blank are several. */
async function openssl(...words: string[]): Promise<void> {
  await run(["openssl", ...words.flatMap((word) => word.split(" "))]);
}
