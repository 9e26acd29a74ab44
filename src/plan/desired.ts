/**
 * Everything that must stand on this host, as a pure function of who we are and which peers there are. Control unites
 * what the backend says of one peer at a time; the older of two peers that want one object differently gets it.
 */
import { type Backend, type Host, isRefused, type Refused } from "../backend/backend.ts";
import type { FirewallLayout } from "../model/firewall.ts";
import type { Family } from "../model/ip.ts";
import { describeSubnets, type Lease, prefixesOf, type Subnets } from "../model/lease.ts";
import { familiesOf, networkOf } from "../model/network_config.ts";
import { type Obj, ObjectIndex, sameFields } from "../model/objects.ts";
import type { Owner } from "../model/owner.ts";
import type { Prefix } from "../model/prefix.ts";
import { remembered } from "../model/memo.ts";
import { judgePeers, type RefusedPeer } from "./peers.ts";

export interface Desired {
  readonly objects: readonly Obj[];
  readonly peers: readonly Lease[];
  readonly refused: readonly RefusedPeer[];
}

/** `leases` oldest first, our own included; `extra` are objects that do not depend on peers (the firewall's). */
export function desire(
  self: Host,
  backend: Backend,
  leases: readonly Lease[],
  extra: readonly Obj[],
): Desired {
  const objects = [...baseObjects(self, backend), ...extra];
  const taken = new ObjectIndex(objects);
  // How peers are reached can change without us changing.
  const toward = backend.usesUnderlayRoutes(self.network.backend) ? towardPeer : rememberedToward;
  const { accepted, refused } = judgePeers(self, leases, backend.recordType, (lease) => {
    const wanted = toward(lease, self, backend);
    if (isRefused(wanted)) {
      return { reason: wanted.refused, byConfiguration: wanted.byConfiguration === true };
    }
    const fresh = wanted.filter((object) => taken.get(object) === undefined);
    const clash = wanted.find((object) => !isShared(object, taken));
    if (clash) {
      return {
        reason: `an older lease has its ${clash.kind} "${clash.key}" already`,
        byConfiguration: false,
      };
    }
    for (const object of fresh) taken.add(object);
    objects.push(...fresh);
    return null;
  });
  return { objects, peers: accepted, refused };
}

/** Two subnets of one host have the very same way to it. */
function isShared(object: Obj, taken: ObjectIndex): boolean {
  const there = taken.get(object);
  return there === undefined || sameFields(there, object);
}

/** What our devices and their addresses are; needs no lease for the devices themselves. */
export function baseObjects(self: Host, backend: Backend): Obj[] {
  return enabled(self).flatMap((family) => backend.base(self, family));
}

/** What was ours before: in an earlier subnet.env, or before the network or the subnet changed. */
export interface Former {
  readonly networks: readonly Prefix[];
  readonly subnets: readonly Prefix[];
}

export function formerly(was: { readonly networks: readonly Prefix[]; readonly subnets: Subnets }): Former {
  return { networks: was.networks, subnets: prefixesOf(was.subnets) };
}

/** By what the kernel side recognises our objects; `layout` matters to the firewall alone. */
export function ownerOf(
  self: Host,
  backend: Backend,
  former: Former = { networks: [], subnets: [] },
  layout: FirewallLayout = "chains",
): Owner {
  const devices = enabled(self).flatMap((family) => backend.device(self, family) ?? []);
  const networks = enabled(self).flatMap((family) => networkOf(self.network, family)?.network ?? []);
  return {
    instance: self.instance,
    ...(self.formerInstances ? { formerInstances: self.formerInstances } : {}),
    devices: devices.map((device) => device.name),
    vnis: new Map(devices.flatMap(({ name, vni }) => vni === null ? [] : [[name, vni]])),
    networks: [...networks, ...former.networks],
    subnets: [...self.subnets === null ? [] : prefixesOf(self.subnets), ...former.subnets],
    layout,
  };
}

/** The smallest MTU of the families in use: what goes into subnet.env. */
export function containerMtu(self: Host, backend: Backend): number {
  return Math.min(...enabled(self).map((family) => backend.mtu(self, family)));
}

export function enabled(self: Host): Family[] {
  return familiesOf(self.network);
}

/** What one peer needs. One family that is refused refuses it: half a peer would be a riddle to whoever looks for the other half. */
export function towardPeer(lease: Lease, self: Host, backend: Backend): Obj[] | Refused {
  const all: Obj[] = [];
  for (const family of enabled(self)) {
    const wanted = backend.toward(self, lease, family);
    if (isRefused(wanted)) return wanted;
    all.push(...wanted);
  }
  return all;
}

const rememberedToward = remembered(towardPeer);

/** For the log: which peer a refusal is about. */
export function describeRefusal({ lease, reason }: RefusedPeer): string {
  return `peer ${describeSubnets(lease.subnets)} refused: ${reason}`;
}
