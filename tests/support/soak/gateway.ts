/**
 * etcd for the soak's own hand: one member in the world outside, reached by mutual TLS, and its JSON gateway over one kept
 * connection, so that a change costs a request and not a process.
 *
 * TLS, because whatever a daemon has to take down and put up again with a connection (session, sockets, files that are read anew)
 * should pass thousands of times.
 */
import { Authority, type Identity } from "../certs.ts";
import { EtcdCluster } from "../etcd.ts";
import type { Topology } from "../topology.ts";

export const PREFIX = "/coreos.com/network";
const SUBNETS = `${PREFIX}/subnets/`;
/** The world outside, on segment 0. */
const IP = "192.168.64.1";
const ANSWER_MS = 5_000;
/**
 * Old revisions are dropped while watches are on, as on any etcd that is looked after. What it has confirmed it has to keep when
 * it is killed: else it is a restored one, and hosts rightly keep peers that it lacks.
 */
const FLAGS = [
  "--auto-compaction-mode=revision",
  "--auto-compaction-retention=1000",
  "--unsafe-no-fsync=false",
];

export class Gateway {
  private constructor(
    readonly cluster: EtcdCluster,
    readonly identity: Identity,
    private readonly http: Deno.HttpClient,
  ) {}

  /** Starts the etcd; it goes with the topology. The caller has to have a way to the underlay. */
  static async start(net: Topology): Promise<Gateway> {
    const authority = await Authority.create(net.directory);
    const tls = await authority.sign("server", { ips: [IP] });
    const client = await authority.sign("client", { server: false });
    const members = [{ ip: IP, enter: net.outside.enter, ports: [2379, 2380] as const }];
    const cluster = net.use(
      await EtcdCluster.start({ members, tls, client, clientCa: authority.cert, flags: FLAGS }),
    );
    const [ca, cert, key] = await Promise.all(
      [client.ca, client.cert, client.key].map((file) => Deno.readTextFile(file)),
    );
    const http = Deno.createHttpClient({ caCerts: [ca!], cert: cert!, key: key! });
    net.use({ [Symbol.asyncDispose]: () => Promise.resolve(http.close()) });
    return new Gateway(cluster, client, http);
  }

  /** The daemon's flags for it. */
  get flags(): string[] {
    const { ca, cert, key } = this.identity;
    const tls = ["-etcd-cafile", ca, "-etcd-certfile", cert, "-etcd-keyfile", key];
    return [...tls, "-etcd-endpoints", this.cluster.endpoints];
  }

  async configure(config: string): Promise<void> {
    await this.#call("kv/put", { key: btoa(`${PREFIX}/config`), value: btoa(config) });
  }

  /** @param name below subnets/: `10.16.0.0-24` */
  async put(name: string, value: string): Promise<void> {
    await this.#call("kv/put", { key: btoa(SUBNETS + name), value: btoa(value) });
  }

  async remove(name: string): Promise<void> {
    await this.#call("kv/deleterange", { key: btoa(SUBNETS + name) });
  }

  /** Every lease: what is below subnets/, by name. */
  async list(): Promise<Map<string, string>> {
    const range_end = btoa(SUBNETS.replace(/\/$/, "0"));
    const { kvs = [] } = await this.#call("kv/range", { key: btoa(SUBNETS), range_end });
    return new Map(kvs.map(({ key, value }) => [atob(key).slice(SUBNETS.length), atob(value)]));
  }

  /** Forgets all revisions but the present one: whoever watched from an older one has to list again. */
  async compact(): Promise<void> {
    const { header } = await this.#call("kv/range", { key: btoa(`${PREFIX}/config`) });
    await this.#call("kv/compaction", { revision: header.revision });
  }

  async #call(method: string, body: unknown): Promise<Answer> {
    const answer = await fetch(`${this.cluster.members[0]!.url}/v3/${method}`, {
      method: "POST",
      body: JSON.stringify(body),
      client: this.http,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`ask etcd for ${method}: ${text}`);
    return JSON.parse(text) as Answer;
  }
}

interface Answer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly { readonly key: string; readonly value: string }[];
}
