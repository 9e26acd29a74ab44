/**
 * What scenarios about hosts, their disks and addresses have in common: a cluster on a store of each kind, and what is done to a host
 * and asked of it.
 */
import { DatabaseSync } from "node:sqlite";
import { health, launchReady, STATE_DIRECTORY as STATE, subnetEnv } from "./daemon.ts";
import { EtcdCluster } from "./etcd.ts";
import { CONFIG, containerOn, sqliteArgs } from "./overlay.ts";
import { poll, type Process } from "./process.ts";
import type { Host, PlainContainer, Topology } from "./topology.ts";
import { unreachablePairs } from "./traffic.ts";

export type Kind = "both" | "sqlite" | "v2" | "v3";

export const PORT = 300;
export const SUBNETS = "/coreos.com/network/subnets";

export interface Cluster {
  /** The daemon's. */
  readonly args: readonly string[];
  /** Every record with the version at which it stands. */
  records(): Promise<string[]>;
}

export interface EtcdOnHost extends Cluster {
  readonly etcd: EtcdCluster;
}

/** Etcd, where it is one, runs on host 1. */
export function openCluster(net: Topology, kind: Kind, backend: string): Promise<Cluster> {
  return kind === "sqlite" ? onSqlite(net, backend) : onEtcd(net, kind, backend);
}

async function onSqlite(net: Topology, backend: string): Promise<Cluster> {
  const args = [...await sqliteArgs(net, configOf(backend)), `-healthz-port=${PORT}`];
  const records = () => {
    using database = new DatabaseSync(`${net.directory}/leases.db`, { readOnly: true });
    return Promise.resolve(
      database.prepare("SELECT * FROM leases ORDER BY key").all().map((row) => JSON.stringify(row)),
    );
  };
  return { args, records };
}

export async function onEtcd(
  net: Topology,
  kind: Exclude<Kind, "sqlite">,
  backend: string,
): Promise<EtcdOnHost> {
  const { ip, enter } = net.host(1);
  const members = [{ ip, ports: [2379, 2380] as const, enter }];
  const flags = kind === "v3" ? [] : ["--enable-v2"];
  const etcd = net.use(await EtcdCluster.start({ members, flags }));
  const text = JSON.stringify(configOf(backend));
  if (kind !== "v2") await etcd.ctl("put", "/coreos.com/network/config", text);
  if (kind !== "v3") await etcd.ctl2("set", "/coreos.com/network/config", text);
  const args = [`-etcd-endpoints=http://${ip}:2379`, `-etcd-api=${kind}`, `-healthz-port=${PORT}`];
  const records = async () => [
    ...(kind === "v2" ? [] : await recordsOf3(etcd)),
    ...(kind === "v3" ? [] : await recordsOf2(etcd)),
  ];
  return { args, records, etcd };
}

function configOf(backend: string): unknown {
  return { ...CONFIG, Backend: { Type: backend } };
}

async function recordsOf3(etcd: EtcdCluster): Promise<string[]> {
  const text = await etcd.ctl("get", "--prefix", `${SUBNETS}/`, "-w", "json");
  const { kvs = [] } = JSON.parse(text) as { kvs?: { key: string; value: string; mod_revision: number }[] };
  return kvs.map(({ key, value, mod_revision }) => `${atob(key)} ${mod_revision} ${atob(value)}`);
}

async function recordsOf2(etcd: EtcdCluster): Promise<string[]> {
  const keys = (await etcd.ctl2("ls", "--recursive", SUBNETS)).split("\n").filter((key) => key !== "");
  return await Promise.all(keys.map((key) => etcd.ctl2("-o", "extended", "get", key)))
    // How long it still lives changes by itself, and so does what else stands in etcd.
    .then((texts) => texts.map((text) => text.replaceAll(/^(TTL|Etcd-Index|Raft-(Index|Term)):.*\n/gm, "")));
}

export interface Two {
  /** The host of which the scenario tells, its daemon and its subnet. */
  readonly h2: Host;
  readonly two: Process;
  readonly subnet: string;
  /** It has nothing yet. */
  readonly h3: Host;
  /** The one that must not notice; its daemon runs as well. */
  readonly h4: Host;
}

export async function startTwo(net: Topology, { args }: Cluster): Promise<Two> {
  const [h2, h3, h4] = [net.host(2), net.host(3), net.host(4)];
  const two = await launchReady(h2, args);
  await launchReady(h4, args);
  return { h2, h3, h4, two, subnet: await subnetOf(h2) };
}

export async function subnetOf(host: Host): Promise<string> {
  return (await subnetEnv(host)).FLANNEL_SUBNET!;
}

export async function ready(host: Host): Promise<void> {
  await poll(
    `${host.name} is ready`,
    60_000,
    async () => (await readiness(host))?.status === 200,
  );
}

export async function notReady(host: Host, words: string): Promise<void> {
  await poll(`${host.name} says "${words}"`, 60_000, async () => {
    const answer = await readiness(host);
    return answer?.status === 503 && answer.body.includes(words);
  });
}

/** Null where nobody answers yet. */
function readiness(host: Host): Promise<{ status: number; body: string } | null> {
  return health(host, "/readyz", PORT).catch(() => null);
}

/** The store is left alone: nothing is written for ten seconds. */
export async function quiet({ records }: Cluster): Promise<void> {
  let before = "";
  let since = performance.now();
  await poll("the store to be quiet", 40_000, async () => {
    const now = (await records()).sort().join("\n");
    if (now !== before) [before, since] = [now, performance.now()];
    return performance.now() - since > 10_000;
  });
}

export async function allReachAll(net: Topology, hosts: readonly Host[]): Promise<void> {
  const containers: PlainContainer[] = [];
  // Others may have containers there already.
  for (const host of hosts) containers.push(await containerOn(net, host, 20));
  await poll("all reach all", 30_000, async () => (await unreachablePairs(containers)).length === 0);
}

export async function copyDisk(from: Host, to: Host): Promise<void> {
  const text = await from.run(["cat", `${STATE}/host-id`]);
  await to.sh(`mkdir -p ${STATE}`);
  await to.run(["sh", "-c", `cat > ${STATE}/host-id`], { input: text });
}

export async function idOf(host: Host): Promise<string> {
  return JSON.parse(await host.run(["cat", `${STATE}/host-id`])).Host;
}

/** Takes the host's own address away and gives it another, while whatever runs there runs. */
export async function renumber(host: Host, from: string, to: string): Promise<void> {
  await host.sh(`
    ip address del ${from}/24 dev eth0
    ip address add ${to}/24 dev eth0
    ip route replace default via 192.168.64.1`);
}

/** As a machine without a disk that was switched off: processes, devices and files are gone. */
export async function forget(host: Host): Promise<void> {
  await host.sh(`
    rm -rf ${STATE} /run/flannel
    for device in $(ls /sys/class/net | grep '^flannel'); do ip link del "$device"; done`);
}
