/**
 * What the scenarios have in common once the daemon runs: where the SQLite store and the configuration are, containers in the
 * subnet that the daemon was given, and what stands in the kernel as text that can be compared.
 */
import type { Place } from "./netns.ts";
import { subnetEnv } from "./daemon.ts";
import type { Host, PlainContainer, Topology } from "./topology.ts";

/**
 * The configuration of the scenarios that are about something else. Daemons draw their subnets from 10.1.60.0 to 10.1.99.0, so
 * that none is ever one that a test gives out by hand.
 */
export const CONFIG = {
  Network: "10.1.0.0/16",
  SubnetMin: "10.1.60.0",
  SubnetMax: "10.1.99.0",
  Backend: { Type: "vxlan" },
};

/** The daemon's arguments for a SQLite store that all hosts of the topology share. */
export async function sqliteArgs(net: Topology, config: unknown = CONFIG): Promise<string[]> {
  const path = `${net.directory}/net-conf.json`;
  await Deno.writeTextFile(path, typeof config === "string" ? config : JSON.stringify(config));
  return [`-store=sqlite:${net.directory}/leases.db`, `-net-config-path=${path}`];
}

/** A container without docker in the subnet that the host's subnet.env names. */
export async function containerOn(net: Topology, host: Host, number = 1): Promise<PlainContainer> {
  const env = await subnetEnv(host);
  return await net.addContainer(host, env.FLANNEL_SUBNET!, number, Number(env.FLANNEL_MTU));
}

/** The same with its IPv6 subnet. */
export async function ipv6ContainerOn(net: Topology, host: Host, number = 1): Promise<PlainContainer> {
  const env = await subnetEnv(host);
  return await net.addContainer(host, env.FLANNEL_IPV6_SUBNET!, number, Number(env.FLANNEL_MTU));
}

/** A device as `ip -j -d link` shows it. */
export interface Link {
  readonly ifindex: number;
  readonly address: string;
  readonly mtu: number;
  readonly linkinfo: { readonly info_kind: string; readonly info_data: Record<string, unknown> };
}

export async function linkOf(host: Place, device = "flannel.1"): Promise<Link> {
  const [link] = await host.json<Link[]>("ip", "-j", "-d", "link", "show", "dev", device);
  return link!;
}

/** A tunnel device's own address: the other hosts' next hop. */
export async function deviceAddress(host: Place, device: string): Promise<string> {
  const [link] = await host.json<{ addr_info: { local: string; scope: string }[] }[]>(
    "ip",
    "-j",
    "address",
    "show",
    "dev",
    device,
  );
  return link!.addr_info.find(({ scope }) => scope === "global")!.local;
}

/** A vxlan host's record in the store, as its daemon would write it. */
export function peerRecord(ip: string, mac: string): string {
  return JSON.stringify({
    PublicIP: ip,
    PublicIPv6: null,
    BackendType: "vxlan",
    BackendData: { VNI: 1, VtepMAC: mac },
  });
}

/** All that the daemon keeps on a host with backend vxlan, one object a line, without what changes by itself. */
export async function standing(host: Place): Promise<string> {
  const text = await host.run(["sh", "-c", STANDING]);
  return text.replaceAll(/[ \t]+$/gm, "").replaceAll(/^\d+: /gm, "").replaceAll(/ \[\d+:\d+\]/g, "");
}

const STANDING = `
ip -d -o link show dev flannel.1 | sed 's/qdisc.*link.ether/ether/'
ip -o -4 address show dev flannel.1
ip -4 neigh show dev flannel.1 nud permanent | sort
bridge fdb show dev flannel.1 | sort
ip -4 route show dev flannel.1 | sort
iptables -S | grep FLANNEL
iptables -t nat -S | grep FLANNEL
true`;
