/**
 * Which subnet a host can have: pure arithmetic on the configuration and on what is taken (spec §4.1).
 *
 * Subnets are taken from the first 100 free ones, one at random: the low addresses stay dense, and hosts that start at once
 * seldom meet. What is taken may have any size and lie anywhere: only overlap counts. The search takes one step for each
 * taken subnet and each free one found, however large the network is.
 */
import type { Random } from "./clock.ts";
import { bits, families, type Family, type Ip, ip } from "./ip.ts";
import { subnetOf, type Subnets } from "./lease.ts";
import { type FamilyNetwork, type NetworkConfig, networkOf } from "./network_config.ts";
import { givesWay, inTheWay, type Occupied } from "./occupied.ts";
import { overlaps, type Prefix, prefix, prefixSize } from "./prefix.ts";

/** How many free subnets one is drawn from. */
export const CANDIDATES = 100;

/** True where `subnets` are what the configuration would give: each enabled family present and in range, no other. */
export function compatible(subnets: Subnets, config: NetworkConfig): boolean {
  return families.every((family) => {
    const network = networkOf(config, family);
    const subnet = subnetOf(subnets, family);
    return network === null || subnet === null ? network === subnet : inRange(subnet, network);
  });
}

function inRange(subnet: Prefix, { family, subnetLen, subnetMin, subnetMax }: FamilyNetwork): boolean {
  const start = subnet.ip.value;
  return subnet.ip.family === family && subnet.length === subnetLen &&
    subnetMin.value <= start && start <= subnetMax.value;
}

/** The subnet with this address, where the configuration can give it away; else null. */
export function leasableSubnet(network: FamilyNetwork, address: Ip): Prefix | null {
  if (address.family !== network.family) return null;
  const subnet = prefix(address, network.subnetLen);
  return inRange(subnet, network) ? subnet : null;
}

/** True where the two share an address of either family. */
export function conflicting(a: Subnets, b: Subnets): boolean {
  return families.some((family) => {
    const [ours, theirs] = [subnetOf(a, family), subnetOf(b, family)];
    return ours !== null && theirs !== null && overlaps(ours, theirs);
  });
}

/** The first `limit` subnets of the network that overlap nothing in `taken`, in ascending order. */
export function freeSubnets(
  network: FamilyNetwork,
  taken: readonly Prefix[],
  limit: number = CANDIDATES,
): readonly Prefix[] {
  const size = 1n << BigInt(bits(network.family) - network.subnetLen);
  const blocks = sortedBlocks(network.family, taken);
  const free: Prefix[] = [];
  let next = 0;
  for (let start = network.subnetMin.value; start <= network.subnetMax.value && free.length < limit;) {
    let block = blocks[next];
    while (block !== undefined && block.end <= start) block = blocks[++next];
    if (block !== undefined && block.start < start + size) {
      start = (block.end + size - 1n) / size * size;
    } else {
      free.push(prefix(ip(network.family, start), network.subnetLen));
      start += size;
    }
  }
  return free;
}

interface Block {
  readonly start: bigint;
  /** Exclusive; may be 2^32 or 2^128. */
  readonly end: bigint;
}

function sortedBlocks(family: Family, taken: readonly Prefix[]): Block[] {
  return taken
    .filter((subnet) => subnet.ip.family === family)
    .map((subnet) => ({ start: subnet.ip.value, end: subnet.ip.value + prefixSize(subnet) }))
    .sort((a, b) => a.start < b.start ? -1 : a.start > b.start ? 1 : 0);
}

/** No subnet of this family is left; where there are free ones, this host has all of their addresses for something else. */
export interface Exhausted {
  readonly exhausted: FamilyNetwork;
  readonly inTheWay: readonly Occupied[];
}

export interface Wishes {
  readonly preferred?: Subnets | undefined;
  /** What this host has otherwise. */
  readonly occupied?: readonly Occupied[] | undefined;
  /** The preferred ones whatever they are in the way of. */
  readonly anyway?: boolean | undefined;
}

/**
 * Subnets for one more host, each family by itself: the preferred one where it fits and is free, else one of the first
 * free ones. None that is in the way of what this host has otherwise; of what gives way, only where nothing else is left.
 */
export function chooseSubnets(
  config: NetworkConfig,
  taken: readonly Subnets[],
  random: Random,
  { preferred = { v4: null, v6: null }, occupied = [], anyway = false }: Wishes = {},
): Subnets | Exhausted {
  const firm = occupied.filter((each) => !givesWay(each));
  const chosen: { v4: Prefix | null; v6: Prefix | null } = { v4: null, v6: null };
  for (const family of families) {
    const network = networkOf(config, family);
    if (network === null) continue;
    const others = taken.flatMap((subnets) => subnetOf(subnets, family) ?? []);
    const subnet = usable(subnetOf(preferred, family), network, others, anyway ? [] : firm) ??
      draw(network, others, occupied, random) ?? draw(network, others, firm, random);
    if (subnet === null) return { exhausted: network, inTheWay: blocking(network, others, firm) };
    chosen[family === 4 ? "v4" : "v6"] = subnet;
  }
  return chosen;
}

function usable(
  wanted: Prefix | null,
  network: FamilyNetwork,
  others: readonly Prefix[],
  occupied: readonly Occupied[],
): Prefix | null {
  const fits = wanted !== null && inRange(wanted, network) && inTheWay(wanted, occupied) === null;
  return fits && !others.some((other) => overlaps(wanted, other)) ? wanted : null;
}

/** What keeps the subnets that nobody else has from being taken; the first few of it. */
function blocking(
  network: FamilyNetwork,
  others: readonly Prefix[],
  occupied: readonly Occupied[],
): Occupied[] {
  return [...new Set(freeSubnets(network, others).flatMap((subnet) => inTheWay(subnet, occupied) ?? []))];
}

function draw(
  network: FamilyNetwork,
  others: readonly Prefix[],
  occupied: readonly Occupied[],
  random: Random,
): Prefix | null {
  const forbidden = occupied.filter(({ by, prefix }) =>
    by === "network" || prefix.length >= network.subnetLen
  );
  const free = freeSubnets(network, [...others, ...forbidden.map(({ prefix }) => prefix)]);
  return free[random.int(Math.max(1, free.length))] ?? null;
}
