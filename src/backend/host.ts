/** Small questions about this host that several backends ask. */
import { bits, type Family, type Ip } from "../model/ip.ts";
import { type Obj, route } from "../model/objects.ts";
import type { Prefix } from "../model/prefix.ts";
import type { Host, Underlay } from "./backend.ts";

export function hostPublicIp(self: Host, family: Family): Ip | null {
  return family === 4 ? self.publicIp : self.publicIpv6;
}

/** The underlay device's own address of this family. */
export function addressOf(underlay: Underlay, family: Family): Ip | null {
  return family === 4 ? underlay.v4 : underlay.v6;
}

/** Prefix length of a single address: 32 or 128. */
export function hostLength(family: Family): number {
  return bits(family);
}

/** A plain route to a peer on our own link; null where it is behind a gateway or not reachable at all. */
export function directRoute(self: Host, subnet: Prefix, publicIp: Ip): Obj | null {
  const way = self.underlay.route(publicIp);
  if (!way?.onLink) return null;
  return route({ destination: subnet, gateway: publicIp, device: way.device, onlink: false });
}

/** The smallest MTU that carries IP at all: RFC 791, RFC 8200. */
const leastMtu = { 4: 68, 6: 1280 } as const;

/** Why an MTU inside a tunnel is too small for the family, or null. */
export function tooNarrow(mtu: number, family: Family, underlay: Underlay): string | null {
  if (mtu >= leastMtu[family]) return null;
  return `an MTU of ${mtu} is left inside the tunnel, IPv${family} needs ${leastMtu[family]}; ` +
    `raise the MTU of ${underlay.device}`;
}
