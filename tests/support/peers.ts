/**
 * Upstream's daemon, for mixed clusters: found in the directory that DENIM_PEERS names, else as `flanneld` on PATH. Tests that
 * need one are skipped, and say so, where there is none.
 */
import { messageOf } from "../../src/model/errors.ts";
import { EtcdCluster } from "./etcd.ts";
import type { Place } from "./netns.ts";
import { type CommandOptions, poll, type Process, say } from "./process.ts";
import { type Host, inTopology, type Topology } from "./topology.ts";

/** The path of a peer's binary, or null. */
export function peerBinary(name = "flanneld"): string | null {
  const directories = [Deno.env.get("DENIM_PEERS"), ...(Deno.env.get("PATH") ?? "").split(":")];
  const paths = directories.filter((directory) => directory).map((directory) => `${directory}/${name}`);
  return paths.find(isFile) ?? null;
}

/** Registers a test, on two hosts unless told, that needs upstream's daemon: `flanneld` or a release like `flanneld-0.11`. */
export function withUpstream(
  name: string,
  body: (net: Topology, upstream: string) => Promise<void>,
  { hosts = 2, peer = "flanneld", ipv6 = false }: { hosts?: number; peer?: string; ipv6?: boolean } = {},
): void {
  const upstream = peerBinary(peer);
  Deno.test({
    name: upstream === null ? `${name} [needs upstream's ${peer} in DENIM_PEERS]` : name,
    ignore: upstream === null || Deno.uid() !== 0,
    fn: () => inTopology({ hosts, ipv6 }, (net) => body(net, upstream!)),
  });
}

/** A plain etcd member on host 1, with the network configuration in one of its APIs. */
export async function startEtcd(
  net: Topology,
  config: unknown,
  api: "v2" | "v3" = "v3",
): Promise<EtcdCluster> {
  const { ip, enter } = net.host(1);
  const members = [{ ip, ports: [2379, 2380] as const, enter }];
  const etcd = net.use(await EtcdCluster.start({ members, flags: api === "v2" ? ["--enable-v2"] : [] }));
  const text = JSON.stringify(config);
  if (api === "v3") await etcd.ctl("put", "/coreos.com/network/config", text);
  else await etcd.ctl2("set", "/coreos.com/network/config", text);
  return etcd;
}

/**
 * Starts upstream's daemon on a host. It insists on br_netfilter's settings, which a kernel may not have: it gets a
 * /proc/sys/net of its own in which they exist.
 */
export function startUpstream(
  host: Place,
  binary: string,
  args: readonly string[],
  options: CommandOptions = {},
): Process {
  const settings = "mount -t tmpfs tmpfs /proc/sys/net && mkdir /proc/sys/net/bridge && " +
    'touch /proc/sys/net/bridge/bridge-nf-call-iptables /proc/sys/net/bridge/bridge-nf-call-ip6tables && exec "$@"';
  return host.start("upstream", ["unshare", "--mount", "sh", "-c", settings, "sh", binary, ...args], options);
}

/** Starts upstream's daemon with backend udp and waits until it carries packets. */
export async function startUpstreamTunnel(
  net: Topology,
  host: Host,
  upstream: string,
  args: readonly string[],
): Promise<Process> {
  const daemon = net.use(startUpstream(host, upstream, args));
  await poll("upstream's daemon runs", 30_000, async () =>
    daemon.text.includes("Running backend") &&
    (await host.run(["ip", "-br", "link", "show", "type", "tun"])).includes("flannel0"));
  return daemon;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) say(`look for a peer at ${path}: ${messageOf(error)}`);
    return false;
  }
}
