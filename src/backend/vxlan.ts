/**
 * Backend `vxlan`: one VXLAN device per family, and per peer one neighbour, one FDB entry and one onlink route.
 *
 * Pure L3: a peer's next hop is its subnet's network address, which is also the address that the peer puts on its own
 * device; nothing is learned or flooded. With DirectRouting, a peer on our own link gets a plain route instead.
 * Upstream's wire and names throughout (spec: vxlan backend). Differences: the tunnel's source is the underlay's own
 * address even behind a NAT, and over IPv6 the overhead counts its true 70 bytes.
 */
import { type Family, isUnspecified } from "../model/ip.ts";
import { isJsonObject, type Json, member } from "../model/json.ts";
import { backendDataOf, type Lease, publicIpOf, subnetOf } from "../model/lease.ts";
import { deriveMac, isUsableMac, type Mac, parseMac } from "../model/mac.ts";
import { remembered } from "../model/memo.ts";
import type { BackendConfig } from "../model/network_config.ts";
import {
  address,
  fdbEntry,
  linkAlias,
  neighbour,
  type Obj,
  route,
  sysctl,
  vxlanLink,
} from "../model/objects.ts";
import type { Backend, Host, Refused } from "./backend.ts";
import { addressOf, directRoute, hostLength, tooNarrow } from "./host.ts";
import { checkMembers, readMembers, type Values } from "./members.ts";

/** Linux's default VXLAN port, older than IANA's 4789 (drivers/net/vxlan). */
const DEFAULT_PORT = 8472;

const members = {
  VNI: { type: "number", default: 1, min: 0, max: 0xffffff },
  Port: { type: "number", default: 0, min: 0, max: 65535, zero: `Linux's own, ${DEFAULT_PORT}` },
  MTU: { type: "number", default: 0, min: 0, max: 65535, zero: "the external interface's" },
  GBP: { type: "boolean", default: false },
  Learning: { type: "boolean", default: false },
  DirectRouting: { type: "boolean", default: false },
} as const;

/** Asked for every peer: read once for each configuration. */
const read = new WeakMap<BackendConfig, Values<typeof members>>();

function settings(config: BackendConfig): Values<typeof members> {
  const known = read.get(config) ?? readMembers(config.members, members);
  read.set(config, known);
  return known;
}

function deviceName(self: Host, family: Family): string {
  return `${family === 4 ? "flannel" : "flannel-v6"}.${settings(self.network.backend).VNI}`;
}

/** Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348). */
function overhead(family: Family): number {
  return (family === 4 ? 20 : 40) + 30;
}

function mtu(self: Host, family: Family): number {
  return (settings(self.network.backend).MTU || self.underlay.mtu) - overhead(family);
}

function deviceMac(self: Host, family: Family): Mac {
  return self.macs.get(deviceName(self, family)) ?? derivedMacs(self)[family];
}

/** Asked for with every peer. */
const derivedMacs = remembered(({ id, network }: Host): Readonly<Record<Family, Mac>> => {
  const { VNI } = settings(network.backend);
  return { 4: deriveMac(id, VNI, 4), 6: deriveMac(id, VNI, 6) };
});

function base(self: Host, family: Family): Obj[] {
  const name = deviceName(self, family);
  const config = settings(self.network.backend);
  const local = addressOf(self.underlay, family);
  const mac = deviceMac(self, family);
  if (local === null || mac === null) return [];
  const link = vxlanLink({
    name,
    alias: linkAlias(self.instance),
    vni: config.VNI,
    lower: self.underlay.device,
    local,
    port: config.Port || DEFAULT_PORT,
    learning: config.Learning,
    gbp: config.GBP,
    mtu: mtu(self, family),
    mac,
  });
  const subnet = self.subnets && subnetOf(self.subnets, family);
  return [
    link,
    sysctl(`net/ipv6/conf/${name}/accept_ra`, "0", name),
    ...(subnet ? [address(name, subnet.ip, hostLength(family))] : []),
  ];
}

function toward(self: Host, peer: Lease, family: Family): Obj[] | Refused {
  const subnet = subnetOf(peer.subnets, family);
  const publicIp = publicIpOf(peer.record, family);
  if (subnet === null) return [];
  if (publicIp === null || isUnspecified(publicIp)) return { refused: `no public IPv${family} address` };
  const direct = settings(self.network.backend).DirectRouting && directRoute(self, subnet, publicIp);
  if (direct) return [direct];
  const mac = vtepMac(backendDataOf(peer.record, family));
  if (mac === null) return { refused: `no usable VtepMAC in its IPv${family} backend data` };
  if (mac === deviceMac(self, family)) return { refused: `its VtepMAC ${mac} is our own` };
  const device = deviceName(self, family);
  return [
    neighbour(device, subnet.ip, mac),
    fdbEntry(device, mac, publicIp),
    route({ destination: subnet, gateway: subnet.ip, device, onlink: true }),
  ];
}

function vtepMac(data: Json | undefined): Mac | null {
  const text = isJsonObject(data) ? member(data, "VtepMAC") : undefined;
  const mac = typeof text === "string" ? parseMac(text) : null;
  return mac !== null && isUsableMac(mac) ? mac : null;
}

function check(config: BackendConfig): string | null {
  return checkMembers(config.members, members);
}

export const vxlan: Backend = {
  type: "vxlan",
  recordType: "vxlan",
  members,
  check,
  usesUnderlayRoutes: (config) => settings(config).DirectRouting,
  unsuited: (self, family) => tooNarrow(mtu(self, family), family, self.underlay),
  device: (self, family) => ({ name: deviceName(self, family), vni: settings(self.network.backend).VNI }),
  base,
  toward,
  publish: (self, family) => ({ VNI: settings(self.network.backend).VNI, VtepMAC: deviceMac(self, family) }),
  mtu,
};
