/**
 * What carries packets between the hosts of `UdpLab`: the kernel alone, the kernel's VXLAN, upstream's proxy, and the library's
 * packet threads with each of their senders and as a plain forwarder, started as the tests start them.
 */
import type { UdpPeer, UdpTunnelOptions } from "../ffi/udp_tunnel.ts";
import { EtcdCluster } from "../tests/support/etcd.ts";
import { startUpstream } from "../tests/support/peers.ts";
import { poll } from "../tests/support/process.ts";
import { hostAddress, type HostNumber, HOSTS, subnets, type UdpLab, type Way } from "./udp_lab.ts";
import { foreignLeases } from "./leases.ts";
import { findUpstream } from "./upstream.ts";

/** Opens a way in the lab, or says why there is none. */
export type MakeWay = (lab: UdpLab) => Promise<Way | string>;

const PROGRAM = new URL("../tests/support/udp_host.ts", import.meta.url).pathname;

/** Of a way over UDP: IPv4's and UDP's header less than the underlay's. */
const UDP_MTU = 1472;
const VXLAN_MTU = 1450;

/** Routes between the subnets, nothing else: what `host-gw` does. */
export async function routed(lab: UdpLab): Promise<Way> {
  const way = await lab.way("routed", 1500);
  await onBoth(lab, way, (other, [v4, v6]) => `
    ip route add ${v4} via ${hostAddress(other)}
    ip route add ${v6} via fd99::${other}`);
  return way;
}

/** Programmed as `vxlan` is: a neighbour, a forwarding entry and a route a peer. */
export async function vxlan(lab: UdpLab): Promise<Way> {
  const way = await lab.way("vxlan", VXLAN_MTU);
  await onBoth(lab, way, (other, [v4, v6]) => {
    const gateways = [v4.replace("/24", ""), v6.replace("/64", "")];
    const local = hostAddress(3 - other as HostNumber);
    return `
      ip link add vxlan1 type vxlan id 1 local ${local} dev eth0 dstport 8472 nolearning
      ip link set vxlan1 address 02:00:00:00:00:0${3 - other} mtu ${VXLAN_MTU} up
      bridge fdb append 02:00:00:00:00:0${other} dev vxlan1 dst ${hostAddress(other)}
      for gateway in ${gateways.join(" ")}; do
        ip neigh add $gateway lladdr 02:00:00:00:00:0${other} dev vxlan1 nud permanent
      done
      ip route add ${v4} via ${gateways[0]} dev vxlan1 onlink
      ip route add ${v6} via ${gateways[1]} dev vxlan1 onlink`;
  });
  return way;
}

/** The library's threads. `strangers`: peers beside the one that answers. */
export function ours(name: string, options: Partial<UdpTunnelOptions> = {}, strangers = 0): MakeWay {
  return async (lab) => {
    const way = await lab.way(name, UDP_MTU);
    for (const host of HOSTS) await startOurs(lab, way, host, options, strangers);
    return way;
  };
}

/** Upstream's daemon of the newest release that speaks etcd's v3 interface, on an etcd of its own. */
export async function upstream(lab: UdpLab): Promise<Way | string> {
  const daemon = (await findUpstream()).filter(({ v2 }) => !v2).at(-1);
  if (daemon === undefined) return "no flanneld of upstream in DENIM_PEERS or PATH";
  const way = await lab.way(`upstream ${daemon.version}`, UDP_MTU);
  const endpoint = await seedEtcd(lab, way);
  for (const host of HOSTS) await startTheirs(lab, host, daemon.path, endpoint);
  return way;
}

async function onBoth(
  lab: UdpLab,
  way: Way,
  script: (other: HostNumber, subnets: [string, string]) => string,
): Promise<void> {
  for (const host of HOSTS) {
    const other = 3 - host as HostNumber;
    await lab.host(host).sh(script(other, subnets(way.number, other)));
  }
}

async function startOurs(
  lab: UdpLab,
  way: Way,
  host: HostNumber,
  more: Partial<UdpTunnelOptions>,
  strangers: number,
): Promise<void> {
  const [place, other, device] = [lab.host(host), 3 - host as HostNumber, `denim${way.number}`];
  const port = 9000 + way.number;
  const options: UdpTunnelOptions = { name: device, port, underlay: [hostAddress(host)], ...more };
  const peers: UdpPeer[] = subnets(way.number, other).map((subnet) => (
    { subnet, address: hostAddress(other), port, mtu: UDP_MTU }
  ));
  for (const { subnet, publicIp } of foreignLeases(strangers)) {
    peers.push({
      subnet: subnet.replace(/^10\.(\d+)/, (_, n) => `10.${Number(n) + 100}`),
      address: publicIp,
      port,
      mtu: UDP_MTU,
    });
  }
  const changes = await Deno.makeTempFile();
  await Deno.writeTextFile(changes, JSON.stringify({ peers }));
  const host_ = { options, peers: peers.slice(0, 2), changes };
  const program = lab.use(
    place.start(device, [Deno.execPath(), "run", "-A", PROGRAM, JSON.stringify(host_)]),
  );
  await program.line(/^ready/);
  program.signal("SIGWINCH");
  await program.line(/^changed/);
  await place.sh(`
    ip link set ${device} mtu ${UDP_MTU} up
    ${subnets(way.number, other).map((subnet) => `ip route add ${subnet} dev ${device}`).join("\n")}`);
}

/** With a lease for each host already, so that the containers' subnets are known beforehand. */
async function seedEtcd(lab: UdpLab, { number }: Way): Promise<string> {
  const { enter } = lab.host(1);
  const members = [{ ip: hostAddress(1), ports: [2379, 2380] as const, enter }];
  const etcd = lab.use(await EtcdCluster.start({ members }));
  const root = "/coreos.com/network";
  const Backend = { Type: "udp", Port: 8285 };
  await etcd.ctl(
    "put",
    `${root}/config`,
    JSON.stringify({ Network: `10.${number}.0.0/16`, SubnetLen: 24, Backend }),
  );
  for (const host of HOSTS) {
    const lease = { PublicIP: hostAddress(host), BackendType: "udp" };
    await etcd.ctl("put", `${root}/subnets/10.${number}.${host}.0-24`, JSON.stringify(lease));
  }
  return etcd.endpoints;
}

async function startTheirs(lab: UdpLab, host: HostNumber, path: string, endpoint: string): Promise<void> {
  const args = ["-etcd-endpoints", endpoint, "-iface", "eth0", "-iptables-forward-rules=false"];
  const place = lab.host(host);
  const daemon = lab.use(startUpstream(place, path, args));
  await poll("upstream's daemon runs", 30_000, async () =>
    daemon.text.includes("Running backend") &&
    (await place.run(["ip", "-br", "link", "show", "type", "tun"])).includes("flannel0"));
}
