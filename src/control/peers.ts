/**
 * Which leases become peers. Store data is untrusted: a record counts only where it lies inside the network, claims
 * nothing of ours, and nothing that an older record claims already. Every refusal has its reason, in one sentence.
 */
import type { Host } from "../backend/backend.ts";
import { addressOf, hostPublicIp } from "../backend/host.ts";
import { families, type Family, formatIp, type Ip, isUnspecified, sameIp } from "../model/ip.ts";
import { describeSubnets, type Lease, publicIpOf, sameSubnets, subnetOf } from "../model/lease.ts";
import { type FamilyNetwork, networkOf } from "../model/network_config.ts";
import { shownJson } from "../model/shown.ts";
import { containsIp, containsPrefix, formatPrefix, overlaps, type Prefix } from "../model/prefix.ts";
import { remembered } from "../model/memo.ts";
import { PrefixSet } from "./prefix_set.ts";

export interface RefusedPeer {
  readonly lease: Lease;
  readonly reason: string;
}

export interface Peers {
  readonly accepted: readonly Lease[];
  readonly refused: readonly RefusedPeer[];
}

/** Judges all leases but our own. `leases` oldest first. */
export function judgePeers(self: Host, leases: readonly Lease[], recordType: string): Peers {
  const accepted: Lease[] = [];
  const refused: RefusedPeer[] = [];
  const claims = new Claims();
  for (const lease of leases) {
    if (isOwn(self, lease)) continue;
    const reason = rememberedObjection(lease, self, recordType) ?? claims.conflict(lease);
    if (reason === null) {
      claims.add(lease);
      accepted.push(lease);
    } else refused.push({ lease, reason });
  }
  return { accepted, refused };
}

function isOwn(self: Host, lease: Lease): boolean {
  return self.subnets !== null && sameSubnets(self.subnets, lease.subnets);
}

/** What keeps this lease from being a peer, whatever others there are. */
function objection(lease: Lease, self: Host, recordType: string): string | null {
  if (lease.record.backendType !== recordType) {
    return `its backend is ${shownJson(lease.record.backendType)}, ours "${recordType}"`;
  }
  for (const family of families) {
    const network = networkOf(self.network, family);
    const reason = network && familyObjection(self, lease, network);
    if (reason) return reason;
  }
  return families.some((f) => networkOf(self.network, f) && subnetOf(lease.subnets, f))
    ? null
    : "it has no subnet of a family that is enabled";
}

const rememberedObjection = remembered(objection);

function familyObjection(self: Host, lease: Lease, { family, network }: FamilyNetwork): string | null {
  const subnet = subnetOf(lease.subnets, family);
  if (subnet === null) return null;
  if (!containsPrefix(network, subnet) || subnet.length === network.length) {
    return `its subnet ${formatPrefix(subnet)} is not inside the network ${formatPrefix(network)}`;
  }
  const own = self.subnets && subnetOf(self.subnets, family);
  if (own && overlaps(own, subnet)) return `its subnet overlaps our own ${formatPrefix(own)}`;
  const publicIp = publicIpOf(lease.record, family);
  return publicIp && publicIpObjection(self, publicIp, network, family);
}

function publicIpObjection(self: Host, publicIp: Ip, network: Prefix, family: Family): string | null {
  const own = [hostPublicIp(self, family), addressOf(self.underlay, family)];
  const what = own.some((address) => sameIp(publicIp, address))
    ? "is our own"
    : containsIp(network, publicIp)
    ? `lies inside the network ${formatPrefix(network)}`
    : isUnicast(publicIp)
    ? null
    : "is not a unicast address";
  return what && `its public IP ${formatIp(publicIp)} ${what}`;
}

/**
 * False for 0.0.0.0/8, loopback, multicast and what lies above it; of IPv6 for ::/64, where loopback and IPv4 in disguise are, and
 * multicast. (0.0.0.0 and `::` stand for "none" and are the backend's to judge.)
 */
function isUnicast(address: Ip): boolean {
  if (isUnspecified(address)) return true;
  const top = Number(address.value >> (address.family === 4 ? 24n : 120n));
  return address.family === 4
    ? top !== 0 && top !== 127 && top < 224
    : top !== 0xff && address.value >> 64n !== 0n;
}

/** What the leases accepted so far have taken. */
class Claims {
  readonly #subnets = new PrefixSet();
  readonly #publicIps = new Map<string, Lease>();

  conflict(lease: Lease): string | null {
    for (const family of families) {
      const subnet = subnetOf(lease.subnets, family);
      const taken = subnet && this.#subnets.overlapping(subnet);
      if (taken) return `its subnet overlaps ${formatPrefix(taken)}, which an older lease has`;
      const publicIp = publicIpOf(lease.record, family);
      const owner = publicIp && publicIp.value !== 0n && this.#publicIps.get(formatIp(publicIp));
      if (owner) {
        return `its public IP ${formatIp(publicIp)} has the older lease ${describeSubnets(owner.subnets)}`;
      }
    }
    return null;
  }

  add(lease: Lease): void {
    for (const family of families) {
      const subnet = subnetOf(lease.subnets, family);
      if (subnet) this.#subnets.add(subnet);
      const publicIp = publicIpOf(lease.record, family);
      if (publicIp) this.#publicIps.set(formatIp(publicIp), lease);
    }
  }
}
