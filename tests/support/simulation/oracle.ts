/**
 * What a simulated host must have in the end, worked out a second time: from the keys and values in etcd and the host's
 * underlay alone, by the rules as documented, without the product's code for leases, peers, backends or the diff.
 */
import { formatIp } from "../../../src/model/ip.ts";
import type { SimHost } from "./host.ts";
import { isDirect, outsiders, type Peer, peersOf, type Subnet } from "./oracle_peers.ts";
import type { World } from "./world.ts";

/** Fields that must be so, by kind and key; others are not looked at. */
export type Expected = Map<string, Readonly<Record<string, unknown>>>;

export interface Desired {
  readonly objects: Expected;
  /** Subnets whose record can't be read: what leads there may stand or not. */
  readonly open: readonly Subnet[];
}

/** `own`: the host's subnets, by family. */
export function desiredOf(world: World, host: SimHost, own: readonly Subnet[]): Desired {
  const objects: Expected = new Map();
  for (const subnet of own) base(world, host, subnet, objects);
  for (const peer of peersOf(world, host, own)) {
    for (const subnet of peer.subnets) toward(world, host, peer, subnet, objects);
  }
  for (const subnet of own) firewall(world, subnet, objects);
  return { objects, open: outsiders(world) };
}

export function deviceOf({ network }: World, family: 4 | 6): string {
  return network.type === "udp" ? "flannel0" : `flannel${family === 4 ? "" : "-v6"}.${network.vni}`;
}

/** Bytes that a packet of this family grows by: Ethernet, IP, UDP and VXLAN; or IP and UDP. */
export function overheadOf({ network: { type } }: World, family: 4 | 6): number {
  const ip = family === 4 ? 20 : 40;
  return type === "vxlan" ? 14 + ip + 8 + 8 : type === "udp" ? ip + 8 : 0;
}

function base(world: World, host: SimHost, subnet: Subnet, objects: Expected): void {
  if (world.network.type === "vxlan") vxlan(world, host, subnet, objects);
  if (world.network.type === "udp") udp(world, host, subnet, objects);
}

function udp(world: World, { underlay }: SimHost, { family, address }: Subnet, objects: Expected): void {
  const { network: { families, port, queues, v4 } } = world;
  const device = deviceOf(world, family);
  const tunnel = objects.get(`tunnel ${device}`);
  objects.set(`tunnel ${device}`, {
    port,
    queues,
    underlay: families.map((each) => formatIp(each === 4 ? underlay.v4 : underlay.v6)),
    icmpSources: [...(tunnel?.icmpSources as string[] | undefined ?? []), address],
  });
  const mtu = underlay.mtu - overheadOf(world, families.includes(6) ? 6 : 4);
  objects.set(`link ${device}`, { type: "tun", up: true, alias: "denim:default", mtu });
  objects.set(`sysctl net/ipv6/conf/${device}/accept_ra`, { value: "0" });
  objects.set(`address ${device} ${address}`, { device });
  objects.set(`route ${family === 4 ? v4 : "fd00:10::/48"}`, { gateway: null, device, protocol: 85 });
}

function vxlan(world: World, { underlay }: SimHost, { family, address }: Subnet, objects: Expected): void {
  const device = deviceOf(world, family);
  const local = formatIp(family === 4 ? underlay.v4 : underlay.v6);
  const mtu = underlay.mtu - overheadOf(world, family);
  const link = {
    type: "vxlan",
    up: true,
    alias: "denim:default",
    lower: "eth0",
    local,
    mtu,
    vni: world.network.vni,
  };
  objects.set(`link ${device}`, link);
  objects.set(`sysctl net/ipv6/conf/${device}/accept_ra`, { value: "0" });
  objects.set(`address ${device} ${address}`, { device });
}

function toward(world: World, host: SimHost, peer: Peer, subnet: Subnet, objects: Expected): void {
  const { family, address, text } = subnet;
  const publicIp = family === 4 ? peer.publicIp : peer.publicIpv6;
  if (publicIp === null) return;
  if (isDirect(world, host, publicIp)) {
    objects.set(`route ${text}`, { gateway: publicIp, device: "eth0", protocol: 85 });
  } else if (world.network.type === "vxlan") {
    const device = deviceOf(world, family);
    const mac = family === 4 ? peer.mac : peer.macV6;
    objects.set(`neighbour ${device} ${address}`, { mac, state: "permanent" });
    objects.set(`fdb ${device} ${mac}`, { destination: publicIp });
    objects.set(`route ${text}`, { gateway: address, device, onlink: true, protocol: 85 });
  } else if (world.network.type === "udp") {
    const { port } = world.network;
    objects.set(`peer ${deviceOf(world, family)} ${text}`, { subnet: text, address: publicIp, port });
  }
}

function firewall(world: World, { family, text }: Subnet, objects: Expected): void {
  const tool = family === 4 ? "iptables" : "ip6tables";
  const [network, multicast] = family === 4
    ? [world.network.v4, "224.0.0.0/4"]
    : ["fd00:10::/48", "ff00::/8"];
  const [masq, forward] = ["masq", "forward"].map((word) => `-m comment --comment "flanneld ${word}"`);
  const random = `${masq} -j MASQUERADE --random-fully`;
  const masquerade = [
    `-m mark --mark 0x4000/0x4000 ${masq} -j RETURN`,
    `-s ${text} -d ${network} ${masq} -j RETURN`,
    `-s ${network} -d ${text} ${masq} -j RETURN`,
    `! -s ${network} -d ${text} ${masq} -j RETURN`,
    `-s ${network} ! -d ${multicast} ${random}`,
    `! -s ${network} -d ${network} ${random}`,
  ];
  const accept = [`-s ${network} ${forward} -j ACCEPT`, `-d ${network} ${forward} -j ACCEPT`];
  objects.set(`chain ${tool} nat FLANNEL-POSTRTG`, { rules: masquerade });
  objects.set(`jump ${tool} nat POSTROUTING FLANNEL-POSTRTG`, {});
  objects.set(`chain ${tool} filter FLANNEL-FWD`, { rules: accept });
  objects.set(`jump ${tool} filter FORWARD FLANNEL-FWD`, {});
}
