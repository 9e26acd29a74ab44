/**
 * Backend `host-gw`: no tunnel; the peer itself is the gateway of its subnet. Every peer has to be on our own link.
 */
import type { Family } from "../model/ip.ts";
import { formatIp, isUnspecified, sameIp } from "../model/ip.ts";
import { type Lease, publicIpOf, subnetOf } from "../model/lease.ts";
import type { Obj } from "../model/objects.ts";
import type { Backend, Host, Refused } from "./backend.ts";
import { addressOf, directRoute, hostPublicIp } from "./host.ts";

function toward(self: Host, peer: Lease, family: Family): Obj[] | Refused {
  const subnet = subnetOf(peer.subnets, family);
  const publicIp = publicIpOf(peer.record, family);
  if (subnet === null) return [];
  if (publicIp === null || isUnspecified(publicIp)) return { refused: `no public IPv${family} address` };
  const direct = directRoute(self, subnet, publicIp);
  return direct ? [direct] : {
    refused: `${formatIp(publicIp)} is not on our link, which host-gw needs; vxlan does not`,
    byConfiguration: true,
  };
}

/** Upstream's wording: a gateway that peers cannot address directly routes nothing. */
function unsuited(self: Host, family: Family): string | null {
  if (sameIp(hostPublicIp(self, family), addressOf(self.underlay, family))) return null;
  return "your PublicIP differs from interface IP, meaning that probably you're on a NAT, which is not supported by host-gw backend";
}

export const hostGw: Backend = {
  type: "host-gw",
  recordType: "host-gw",
  members: {},
  check: () => null,
  usesUnderlayRoutes: () => true,
  unsuited,
  device: () => null,
  base: () => [],
  toward,
  publish: () => undefined,
  mtu: (self) => self.underlay.mtu,
};
