/**
 * Which leases become peers. Store data is untrusted: a record counts only where it lies inside the network, claims
 * nothing of ours, and no subnet that an older record claims already. Every refusal has its reason, in one sentence, and what
 * is refused claims nothing.
 *
 * Of several records of one host, as its id tells, the youngest counts: the others are left over from before it moved, and no
 * reason to complain. Two records with one public IP are two subnets of one host, or a host that left one behind: both count.
 *
 * Hosts may live inside the network, in a part that SubnetMin and SubnetMax leave out. What no packet could survive is a host
 * whose own address lies in a subnet: packets for it would be led into the tunnel that they come out of. So no public IP
 * counts that lies in a subnet which can be leased, or is; and no subnet that has our own address or an older peer's in it.
 */
import type { Host } from "../backend/backend.ts";
import { addressOf, hostPublicIp } from "../backend/host.ts";
import { leasableSubnet } from "../model/allocate.ts";
import { bits, families, type Family, formatIp, type Ip, isUnspecified, sameIp } from "../model/ip.ts";
import { type Lease, prefixesOf, publicIpOf, sameSubnets, subnetOf } from "../model/lease.ts";
import { type FamilyNetwork, networkOf } from "../model/network_config.ts";
import { shownJson } from "../model/shown.ts";
import { containsIp, containsPrefix, formatPrefix, overlaps, type Prefix, prefix } from "../model/prefix.ts";
import { remembered } from "../model/memo.ts";
import { PrefixClaims, PrefixNesting } from "../model/prefix_claims.ts";

export interface RefusedPeer {
  readonly lease: Lease;
  readonly reason: string;
  /** True where nothing is wrong with its record: our own configuration does not suit where the hosts are. */
  readonly byConfiguration: boolean;
}

export type Objection = Omit<RefusedPeer, "lease">;

export interface Peers {
  readonly accepted: readonly Lease[];
  readonly refused: readonly RefusedPeer[];
}

/**
 * Judges all leases but our own. `leases` oldest first.
 *
 * @param objects whether the lease can have what it needs on this host; asked last, of each that would count otherwise
 */
export function judgePeers(
  self: Host,
  leases: readonly Lease[],
  recordType: string,
  objects: (lease: Lease) => Objection | null = () => null,
): Peers {
  const accepted: Lease[] = [];
  const refused: RefusedPeer[] = [];
  const claims = new Claims(leases);
  const youngest = youngestByHost(leases);
  for (const lease of leases) {
    if (isOwn(self, lease) || isLeftOver(self, lease, youngest)) continue;
    const objection = objectionTo(lease, self, recordType) ?? theirs(claims.conflict(lease)) ??
      objects(lease);
    if (objection === null) {
      claims.add(lease);
      accepted.push(lease);
    } else refused.push({ lease, ...objection });
  }
  return { accepted, refused };
}

export function isOwn(self: Host, lease: Lease): boolean {
  return self.subnets !== null && sameSubnets(self.subnets, lease.subnets);
}

/** Of each host that has an id, its youngest record, by `siblingName`. */
function youngestByHost(leases: readonly Lease[]): Map<string, Lease> {
  const youngest = new Map<string, Lease>();
  for (const lease of leases) {
    const name = siblingName(lease);
    if (name === null) continue;
    const other = youngest.get(name);
    if (other === undefined || other.created < lease.created) youngest.set(name, lease);
  }
  return youngest;
}

/** True for what a host left behind when it took another subnet. */
function isLeftOver(self: Host, lease: Lease, youngest: ReadonlyMap<string, Lease>): boolean {
  const name = siblingName(lease);
  return name !== null && (lease.record.mark?.host === self.id || youngest.get(name) !== lease);
}

/**
 * The same for all records of one host among which the youngest counts; null without an id. What the store does not tell any more
 * says nothing of what it tells: a record that somebody has overwritten may be the younger one, and its host may have gone back.
 */
export function siblingName({ record, doubtful }: Lease): string | null {
  return record.mark === undefined ? null : `${record.mark.host}${doubtful ? " doubtful" : ""}`;
}

/** What is wrong with the record. */
function theirs(reason: string | null): Objection | null {
  return reason === null ? null : { reason, byConfiguration: false };
}

/**
 * What keeps this lease from being a peer, whatever others there are. A record of another network or backend is its host's
 * matter: that host is gone, or has not followed the configuration yet.
 */
function objection(lease: Lease, self: Host, recordType: string): Objection | null {
  if (lease.record.backendType !== recordType) {
    return theirs(`its backend is ${shownJson(lease.record.backendType)}, ours "${recordType}"`);
  }
  for (const family of families) {
    const network = networkOf(self.network, family);
    const objection = network && familyObjection(self, lease, network);
    if (objection) return objection;
  }
  const suits = families.some((f) => networkOf(self.network, f) && subnetOf(lease.subnets, f));
  return suits ? null : theirs("it has no subnet of a family that is enabled");
}

/** As `objection`, remembered while who we are stays the same. */
export const objectionTo = remembered(objection);

function familyObjection(self: Host, lease: Lease, network: FamilyNetwork): Objection | null {
  const subnet = subnetOf(lease.subnets, network.family);
  if (subnet === null) return null;
  const publicIp = publicIpOf(lease.record, network.family);
  return theirs(subnetObjection(self, subnet, network)) ??
    (publicIp && publicIpObjection(self, publicIp, subnet, network));
}

function subnetObjection(self: Host, subnet: Prefix, { family, network }: FamilyNetwork): string | null {
  if (!containsPrefix(network, subnet) || subnet.length === network.length) {
    return `its subnet ${formatPrefix(subnet)} is not inside the network ${formatPrefix(network)}`;
  }
  const own = self.subnets && subnetOf(self.subnets, family);
  if (own && overlaps(own, subnet)) return `its subnet overlaps our own ${formatPrefix(own)}`;
  const inside = ownAddresses(self, family).find((address) => containsIp(subnet, address));
  return inside ? `its subnet ${formatPrefix(subnet)} has our own address ${formatIp(inside)} in it` : null;
}

function publicIpObjection(
  self: Host,
  publicIp: Ip,
  subnet: Prefix,
  network: FamilyNetwork,
): Objection | null {
  const its = `its public IP ${formatIp(publicIp)}`;
  if (ownAddresses(self, network.family).some((address) => sameIp(publicIp, address))) {
    return theirs(`${its} is our own`);
  }
  if (!isUnicast(publicIp)) return theirs(`${its} is not a unicast address`);
  const leasable = leasableSubnet(network, publicIp);
  if (leasable) return { reason: `${its} ${inLeasable(leasable, network.family)}`, byConfiguration: true };
  const own = self.subnets && subnetOf(self.subnets, network.family);
  const around = [subnet, own].find((leased) => leased && containsIp(leased, publicIp));
  return around ? theirs(`${its} lies inside the leased subnet ${formatPrefix(around)}`) : null;
}

/** The rest of a sentence about a host's address. */
export function inLeasable(subnet: Prefix, family: Family): string {
  const six = family === 6 ? "IPv6" : "";
  return `lies inside ${formatPrefix(subnet)}, a subnet that can be leased; ` +
    `give ${six}SubnetMin and ${six}SubnetMax that leave it out, or another ${six}Network`;
}

/** What we publish, and what our tunnels start at. */
function ownAddresses(self: Host, family: Family): Ip[] {
  return [hostPublicIp(self, family), addressOf(self.underlay, family)].filter((address) => address !== null);
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

/** The address as a prefix of its own; always the very same one. */
export const alone = remembered((address: Ip) => prefix(address, bits(address.family)));

/** What the leases accepted so far have taken. */
class Claims {
  readonly #subnets: PrefixClaims;
  readonly #addresses: PrefixClaims;

  constructor(leases: readonly Lease[]) {
    const nesting = new PrefixNesting(leases.flatMap(({ subnets, record }) => [
      ...prefixesOf(subnets),
      ...families.flatMap((family) => publicIpOf(record, family) ?? []).map((address) => alone(address)),
    ]));
    this.#subnets = new PrefixClaims(nesting);
    this.#addresses = new PrefixClaims(nesting);
  }

  conflict(lease: Lease): string | null {
    for (const family of families) {
      const subnet = subnetOf(lease.subnets, family);
      const conflict = (subnet && this.#subnetConflict(subnet)) ??
        this.#addressConflict(publicIpOf(lease.record, family));
      if (conflict !== null) return conflict;
    }
    return null;
  }

  add(lease: Lease): void {
    for (const family of families) {
      const subnet = subnetOf(lease.subnets, family);
      if (subnet) this.#subnets.claim(subnet);
      const publicIp = publicIpOf(lease.record, family);
      if (publicIp === null) continue;
      this.#addresses.claim(alone(publicIp));
    }
  }

  #subnetConflict(subnet: Prefix): string | null {
    const taken = this.#subnets.overlapping(subnet);
    if (taken) return `its subnet overlaps ${formatPrefix(taken)}, which an older lease has`;
    if (this.#addresses.overlapping(subnet) === null) return null;
    return `its subnet ${formatPrefix(subnet)} has the public IP of an older lease in it`;
  }

  #addressConflict(publicIp: Ip | null): string | null {
    if (publicIp === null || isUnspecified(publicIp)) return null;
    const around = this.#subnets.overlapping(alone(publicIp));
    return around &&
      `its public IP ${formatIp(publicIp)} lies inside ${formatPrefix(around)}, which an older lease has`;
  }
}
