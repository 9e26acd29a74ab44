/**
 * etcd for the soak's own hand: one member in the world outside, reached by mutual TLS over one kept connection, so that a change
 * costs a request and not a process. By either API: v3 through etcd's JSON gateway, v2 through its keys.
 *
 * TLS, because whatever a daemon has to take down and put up again with a connection (session, sockets, files that are read anew)
 * should pass thousands of times.
 */
import type { ForeignLease } from "../../../bench/leases.ts";
import { Authority, type Identity } from "../certs.ts";
import { EtcdCluster } from "../etcd.ts";
import type { Topology } from "../topology.ts";

const PREFIX = "/coreos.com/network";
const SUBNETS = `${PREFIX}/subnets/`;
const CONFIG = `${PREFIX}/config`;
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

/** What of the API a Gateway needs. Names are the keys' last elements: `10.16.0.0-24`. */
interface Keys {
  put(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Every key below `directory`, which ends in a slash, with its value. */
  list(directory: string): Promise<[key: string, value: string][]>;
  /** Forgets what was: whoever watched from an older revision has to list again. */
  compact(): Promise<void>;
}

export type Api = "v2" | "v3";

export class Gateway {
  readonly #keys: Keys;

  private constructor(
    readonly cluster: EtcdCluster,
    readonly identity: Identity,
    readonly api: Api,
    http: Deno.HttpClient,
  ) {
    const ask = new Asker(cluster.members[0]!.url, http);
    this.#keys = api === "v3" ? new V3(ask) : new V2(ask);
  }

  /** Starts the etcd; it goes with the topology. The caller has to have a way to the underlay. */
  static async start(net: Topology, api: Api): Promise<Gateway> {
    const authority = await Authority.create(net.directory);
    const tls = await authority.sign("server", { ips: [IP] });
    const client = await authority.sign("client", { server: false });
    const members = [{ ip: IP, enter: net.outside.enter, ports: [2379, 2380] as const }];
    const flags = api === "v3" ? FLAGS : [...FLAGS, "--enable-v2"];
    const cluster = net.use(
      await EtcdCluster.start({ members, tls, client, clientCa: authority.cert, flags }),
    );
    const [ca, cert, key] = await Promise.all(
      [client.ca, client.cert, client.key].map((file) => Deno.readTextFile(file)),
    );
    const http = Deno.createHttpClient({ caCerts: [ca!], cert: cert!, key: key! });
    net.use({ [Symbol.asyncDispose]: () => Promise.resolve(http.close()) });
    return new Gateway(cluster, client, api, http);
  }

  /** The daemon's flags for it. */
  get flags(): string[] {
    const { ca, cert, key } = this.identity;
    const tls = ["-etcd-cafile", ca, "-etcd-certfile", cert, "-etcd-keyfile", key];
    return [...tls, "-etcd-endpoints", this.cluster.endpoints, "-etcd-api", this.api];
  }

  configure(config: string): Promise<void> {
    return this.#keys.put(CONFIG, config);
  }

  put({ key, value, valueV2 }: ForeignLease): Promise<void> {
    return this.#keys.put(SUBNETS + key, this.api === "v3" ? value : valueV2);
  }

  remove(name: string): Promise<void> {
    return this.#keys.remove(SUBNETS + name);
  }

  /** Every lease, by name. */
  async list(): Promise<Map<string, string>> {
    const leases = await this.#keys.list(SUBNETS);
    return new Map(leases.map(([key, value]) => [key.slice(SUBNETS.length), value]));
  }

  compact(): Promise<void> {
    return this.#keys.compact();
  }
}

/** One member's HTTP. */
class Asker {
  constructor(readonly url: string, readonly http: Deno.HttpClient) {}

  /** @throws Error where it answers with neither success nor one of `accepted` */
  async ask(path: string, request: RequestInit, accepted: readonly number[] = []): Promise<string> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(this.url + path, { ...request, client: this.http, signal });
    const text = await answer.text();
    if (answer.ok || accepted.includes(answer.status)) return text;
    throw new Error(`ask etcd for ${path}: ${text}`);
  }
}

class V3 implements Keys {
  constructor(private readonly asker: Asker) {}

  async put(key: string, value: string): Promise<void> {
    await this.#call("kv/put", { key: btoa(key), value: btoa(value) });
  }

  async remove(key: string): Promise<void> {
    await this.#call("kv/deleterange", { key: btoa(key) });
  }

  async list(directory: string): Promise<[key: string, value: string][]> {
    const range_end = btoa(directory.replace(/\/$/, "0"));
    const { kvs = [] } = await this.#call("kv/range", { key: btoa(directory), range_end });
    return kvs.map(({ key, value }) => [atob(key), atob(value)]);
  }

  async compact(): Promise<void> {
    const { header } = await this.#call("kv/range", { key: btoa(CONFIG) });
    await this.#call("kv/compaction", { revision: header.revision });
  }

  async #call(method: string, body: unknown): Promise<V3Answer> {
    const text = await this.asker.ask(`/v3/${method}`, { method: "POST", body: JSON.stringify(body) });
    return JSON.parse(text) as V3Answer;
  }
}

interface V3Answer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly { readonly key: string; readonly value: string }[];
}

/** The v2 API keeps so many events of all keys together; a few more drive out every other. */
const EVENTS = 1_100;
const AT_A_TIME = 50;

class V2 implements Keys {
  constructor(private readonly asker: Asker) {}

  async put(key: string, value: string): Promise<void> {
    await this.asker.ask(`/v2/keys${key}`, { method: "PUT", body: new URLSearchParams({ value }) });
  }

  /** What is not there is removed already. */
  async remove(key: string): Promise<void> {
    await this.asker.ask(`/v2/keys${key}`, { method: "DELETE" }, [404]);
  }

  async list(directory: string): Promise<[key: string, value: string][]> {
    const path = `/v2/keys${directory.replace(/\/$/, "")}?quorum=true`;
    const { node } = JSON.parse(await this.asker.ask(path, {}, [404])) as V2Answer;
    return (node?.nodes ?? []).map(({ key, value }) => [key, value]);
  }

  async compact(): Promise<void> {
    const spare = `${PREFIX}/soak`;
    for (let done = 0; done < EVENTS; done += AT_A_TIME) {
      await Promise.all(Array.from({ length: AT_A_TIME }, (_, i) => this.put(spare, String(done + i))));
    }
  }
}

interface V2Answer {
  readonly node?: { readonly nodes?: readonly { readonly key: string; readonly value: string }[] };
}
