/**
 * Addresses that a host has without us: the networks that its devices are in, and its routes. A subnet in their way would
 * take packets from them, or lose its own. Pure; reading them is the kernel side's.
 *
 * A device's network forbids every subnet that shares an address with it. A route forbids what it is as specific as, or more:
 * a wider one (a company's 10.0.0.0/8) goes on around a subnet.
 */
import { bits } from "./ip.ts";
import { containsPrefix, formatPrefix, overlaps, type Prefix } from "./prefix.ts";
import { prefixesOf, type Subnets } from "./lease.ts";

export interface Occupied {
  readonly prefix: Prefix;
  readonly by: "network" | "route";
  /** Null for a route that leads nowhere. */
  readonly device: string | null;
  /** The device is a bridge. */
  readonly bridge: boolean;
}

/** Bridges that get the address which the subnet file says, as soon as whoever runs them is started again. */
const containerBridges: ReadonlySet<string> = new Set(["docker0", "cni0", "cbr0"]);

/** True for what moves out of a subnet's way by itself. */
export function givesWay({ device }: Occupied): boolean {
  return device !== null && containerBridges.has(device);
}

/** What is in a subnet's way. */
export function inTheWay(subnet: Prefix, occupied: readonly Occupied[]): Occupied | null {
  const forbids = ({ by, prefix }: Occupied) => by === "network" || prefix.length >= subnet.length;
  return occupied.find((each) => overlaps(each.prefix, subnet) && forbids(each)) ?? null;
}

/** Without what carries the subnets that we have already: the containers' bridge, and routes to single containers. */
export function withoutOwn(occupied: readonly Occupied[], own: Subnets, underlay: string): Occupied[] {
  const ours = prefixesOf(own);
  const carries = ({ device, bridge, prefix }: Occupied) =>
    device !== underlay && (bridge || prefix.length === bits(prefix.ip.family)) &&
    ours.some((subnet) => containsPrefix(subnet, prefix));
  return occupied.filter((each) => !carries(each));
}

/** `172.31.0.0/24, the network of eth0`. */
export function describeOccupied({ prefix, by, device }: Occupied): string {
  const what = device === null
    ? "a route that leads nowhere"
    : by === "network"
    ? `the network of ${device}`
    : `a route by way of ${device}`;
  return `${formatPrefix(prefix)}, ${what}`;
}
