/**
 * Hosts around an etcd, inside the enclosure.
 *
 *        h1                 h2                 …
 *   eth0 .64.11        eth0 .64.12
 *        │                  │
 *   ─────┴──────────────────┴───── bridge "wire" .64.1: etcd, and the way to everywhere else, which leads nowhere
 */
import { createNamespace, type Namespace } from "../tests/support/netns.ts";
import { EtcdCluster } from "../tests/support/etcd.ts";
import { type Process, run } from "../tests/support/process.ts";
import { daemonCommand, STATE_DIRECTORY } from "../tests/support/daemon.ts";
import { type ForeignLease, foreignLeases, networkConfig } from "./leases.ts";

const WIRE = "192.168.64.1";

export interface Host extends Namespace {
  readonly ip: string;
}

export class Lab implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  #hosts = 0;

  private constructor(readonly etcd: EtcdCluster) {
    this.#stack.use(etcd);
  }

  static async create(): Promise<Lab> {
    await run([
      "sh",
      "-ec",
      `
      ip link add wire type bridge
      ip link set wire up
      ip address add ${WIRE}/24 dev wire`,
    ]);
    const flags = ["--enable-v2", "--max-txn-ops=100000"];
    const lab = new Lab(await EtcdCluster.start({ members: [{ ip: WIRE, ports: [2379, 2380] }], flags }));
    lab.#stack.defer(async () => void await run(["ip", "link", "del", "wire"]));
    return lab;
  }

  get endpoint(): string {
    return `http://${WIRE}:2379`;
  }

  /** A host without a daemon. */
  async host(): Promise<Host> {
    const number = ++this.#hosts;
    const ip = `192.168.64.${10 + number}`;
    const host = this.#stack.use(await createNamespace(`bench-${Deno.pid}-h${number}`));
    await run([
      "sh",
      "-ec",
      `
      ip link add h${number} master wire type veth peer name eth0 netns ${host.pid}
      ip link set h${number} up`,
    ]);
    await host.sh(`
      ip address add ${ip}/24 dev eth0
      ip link set eth0 up
      ip route add default via ${WIRE}`);
    return Object.assign(host, { ip });
  }

  /** Puts the network configuration and this many leases below `prefix`. */
  async seed(prefix: string, count: number): Promise<void> {
    await this.put(`${prefix}/config`, networkConfig());
    const leases = foreignLeases(count);
    for (let i = 0; i < count; i += 1000) await this.#putAll(prefix, leases.slice(i, i + 1000));
  }

  /** The same for daemons that speak etcd's v2 interface: another keyspace of the same etcd. */
  async seedV2(prefix: string, count: number): Promise<void> {
    await this.#putV2(`${prefix}/config`, networkConfig());
    for (const lease of foreignLeases(count)) {
      await this.#putV2(`${prefix}/subnets/${lease.key}`, lease.valueV2);
    }
  }

  /** Takes away the leases of the lab's own hosts, in both keyspaces. */
  async forgetHosts(prefix: string): Promise<void> {
    await this.remove(`${prefix}/subnets/10.1.`);
    const listed = await fetch(`${this.endpoint}/v2/keys${prefix}/subnets`);
    const { node } = await listed.json() as { node?: { nodes?: { key: string }[] } };
    for (const { key } of node?.nodes ?? []) {
      if (!key.includes("/10.1.")) continue;
      await (await fetch(`${this.endpoint}/v2/keys${key}`, { method: "DELETE" })).body?.cancel();
    }
  }

  async put(key: string, value: string): Promise<void> {
    await this.#call("kv/put", { key: btoa(key), value: btoa(value) });
  }

  /** Takes away the keys below a path. */
  async remove(path: string): Promise<void> {
    const range_end = path.slice(0, -1) + String.fromCharCode(path.charCodeAt(path.length - 1) + 1);
    await this.#call("kv/deleterange", { key: btoa(path), range_end: btoa(range_end) });
  }

  async #putV2(key: string, value: string): Promise<void> {
    const body = new URLSearchParams({ value, ttl: "86400" });
    const answer = await fetch(`${this.endpoint}/v2/keys${key}`, { method: "PUT", body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`put "${key}" into etcd's v2 keyspace: ${text}`);
  }

  async #putAll(prefix: string, leases: readonly ForeignLease[]): Promise<void> {
    const success = leases.map(({ key, value }) => ({
      requestPut: { key: btoa(`${prefix}/subnets/${key}`), value: btoa(value) },
    }));
    await this.#call("kv/txn", { success });
  }

  /** etcd's JSON gateway: one connection that stays, so that a put costs a put. */
  async #call(method: string, body: unknown): Promise<void> {
    const answer = await fetch(`${this.endpoint}/v3/${method}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`ask etcd for ${method}: ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Starts a daemon on a host and returns at once. */
export function startDaemon(
  host: Host,
  args: readonly string[],
  { command = daemonCommand(), env = {} }: { command?: readonly string[]; env?: Record<string, string> } = {},
): Process {
  return host.start("flanneld", [...command, ...args], { env: { NO_COLOR: "1", STATE_DIRECTORY, ...env } });
}

/** As if no daemon had ever run here: devices (and what stands on them), firewall, files. */
export async function clean(host: Host): Promise<void> {
  await host.sh(`
    for device in $(ls /sys/class/net | grep '^flannel'); do ip link del "$device"; done
    iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X
    rm -rf /run/flannel ${STATE_DIRECTORY}`);
}
