/**
 * Backend `udp`: packets carried by this process between a TUN device and UDP sockets, for hosts where nothing better is to
 * be had. Per peer one entry in the tunnel's table; one route leads the whole network into the device. Where this host itself
 * lives inside the network, in a part that SubnetMin and SubnetMax leave out, only what can be leased is led there, and what
 * else is leased: the tunnel's own packets, and those for the store, must not come back into it.
 *
 * On the wire a datagram's payload is one bare inner packet (spec: udp backend), so that every old peer is understood; names
 * and addresses are upstream's. The device goes when the process does, unless a service manager keeps it. Differences:
 * IPv6 is carried too, both families through one device; a route never outlives its peer; senders are checked.
 */
import { leasableSubnet } from "../model/allocate.ts";
import { addToIp, type Family, formatIp, type Ip, isUnspecified } from "../model/ip.ts";
import { type Lease, publicIpOf, subnetOf } from "../model/lease.ts";
import { type BackendConfig, familiesOf, type FamilyNetwork, networkOf } from "../model/network_config.ts";
import {
  containsIp,
  formatPrefix,
  type Prefix,
  prefix,
  prefixesBetween,
  prefixSize,
} from "../model/prefix.ts";
import {
  address,
  linkAlias,
  type Obj,
  route,
  sysctl,
  tunLink,
  tunnelPeer,
  udpTunnel,
} from "../model/objects.ts";
import type { Backend, Host, Refused } from "./backend.ts";
import { addressOf, hostLength, tooNarrow } from "./host.ts";
import { checkMembers, readMembers } from "./members.ts";

const members = {
  Port: { type: "number", default: 8285, min: 1, max: 65535 },
  /** Threads of each host. */
  Queues: { type: "number", default: 1, min: 1, max: 8 },
  Sender: { type: "word", default: "socket", words: ["socket", "pool", "raw"] },
  /** Source ports of a pool. */
  Sources: { type: "number", default: 16, min: 2, max: 64 },
} as const;

function settings(self: Host) {
  return readMembers(self.network.backend.members, members);
}

/** Outer IP header and UDP's 8 bytes. */
function overhead(family: Family): number {
  return (family === 4 ? 20 : 40) + 8;
}

/** Both families share the device, so both fit into the narrower tunnel. */
function mtu(self: Host): number {
  return self.underlay.mtu - Math.max(...familiesOf(self.network).map(overhead));
}

function ownAddress(self: Host, family: Family) {
  return self.subnets && subnetOf(self.subnets, family)?.ip;
}

/** The device itself; once, however many families there are. */
function device(self: Host): Obj[] {
  const { Port: port, Queues: queues, Sender: sender, Sources: sources } = settings(self);
  const underlay = familiesOf(self.network).flatMap((family) => addressOf(self.underlay, family) ?? []);
  const icmpSources = familiesOf(self.network).flatMap((family) => ownAddress(self, family) ?? []);
  const { tun: name, acceptMoved } = self;
  return [
    udpTunnel({ name, port, underlay, icmpSources, queues, sender, sources, acceptMoved }),
    tunLink(name, linkAlias(self.instance), mtu(self)),
    sysctl(`net/ipv6/conf/${name}/accept_ra`, "0", name),
  ];
}

function base(self: Host, family: Family): Obj[] {
  const own = ownAddress(self, family);
  const network = networkOf(self.network, family);
  return [
    ...(family === familiesOf(self.network)[0] ? device(self) : []),
    ...(own ? [address(self.tun, own, hostLength(family))] : []),
    ...(own && network ? destinations(self, network).map((destination) => into(self, destination)) : []),
  ];
}

function into(self: Host, destination: Prefix): Obj {
  return route({ destination, gateway: null, device: self.tun, onlink: false });
}

/** What is led into the tunnel for all peers together. */
function destinations(self: Host, network: FamilyNetwork): Prefix[] {
  if (!livesInside(self, network)) return [network.network];
  const last = addToIp(network.subnetMax, prefixSize(prefix(network.subnetMax, network.subnetLen)) - 1n);
  return prefixesBetween(network.subnetMin, last);
}

function livesInside(self: Host, { family, network }: FamilyNetwork): boolean {
  const address = addressOf(self.underlay, family);
  return address !== null && containsIp(network, address);
}

function toward(self: Host, peer: Lease, family: Family): Obj[] | Refused {
  const subnet = subnetOf(peer.subnets, family);
  const publicIp = publicIpOf(peer.record, family);
  if (subnet === null) return [];
  if (publicIp === null || isUnspecified(publicIp)) return { refused: `no public IPv${family} address` };
  const entry = tunnelPeer(self.tun, subnet, publicIp, settings(self).Port);
  const network = networkOf(self.network, family);
  if (network === null) return [entry];
  if (!livesInside(self, network)) {
    return containsIp(network.network, publicIp) ? insideNetwork(publicIp, network) : [entry];
  }
  return leasableSubnet(network, subnet.ip) ? [entry] : [entry, into(self, subnet)];
}

function insideNetwork(publicIp: Ip, { network }: FamilyNetwork): Refused {
  const what = `its public IP ${formatIp(publicIp)} lies inside ${formatPrefix(network)}`;
  return { refused: `${what}, which udp leads into its tunnel; vxlan does not`, byConfiguration: true };
}

export const udp: Backend = {
  type: "udp",
  recordType: "",
  members,
  check: (config: BackendConfig) => checkMembers(config.members, members),
  usesUnderlayRoutes: () => false,
  unsuited: (self, family) => tooNarrow(mtu(self), family, self.underlay),
  device: (self) => ({ name: self.tun, vni: null }),
  base,
  toward,
  publish: () => undefined,
  mtu,
};
