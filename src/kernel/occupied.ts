/** The networks and routes that this host has without us. Asks, and changes nothing. */
import type { AddressRecord, Netlink, RouteRecord } from "../../ffi/records.ts";
import { parseIp } from "../model/ip.ts";
import { ROUTE_PROTOCOL } from "../model/objects.ts";
import type { Occupied } from "../model/occupied.ts";
import { parsePrefix, prefix } from "../model/prefix.ts";
import type { Owner } from "../model/owner.ts";
import { readLinks } from "./links.ts";
import { LinkTable } from "./link_table.ts";
import { MAIN_TABLE } from "./routes.ts";

/** RTN_* whose packets the main table decides about: unicast, blackhole, unreachable, prohibit. */
const deciding: ReadonlySet<number> = new Set([1, 6, 7, 8]);

export async function readOccupied(netlink: Netlink, owner: Owner): Promise<Occupied[]> {
  const [links, addresses, routes] = await Promise.all([
    netlink.links(),
    netlink.addresses(),
    netlink.routes(MAIN_TABLE),
  ]);
  const table = new LinkTable(links);
  const ours = new Set(
    readLinks(table, owner).filter(({ standing }) => standing !== "foreign").map(({ key }) => key),
  );
  return [...addresses.flatMap((a) => network(a, table)), ...routes.flatMap((r) => led(r, table))]
    .filter(({ device }) => device === null || !ours.has(device));
}

function network({ address, length, index }: AddressRecord, table: LinkTable): Occupied[] {
  const ip = parseIp(address);
  const device = table.nameOf(index);
  return ip === null || device === null
    ? []
    : [{ prefix: prefix(ip, length), by: "network", device, bridge: isBridge(device, table) }];
}

function led({ destination, index, protocol, type }: RouteRecord, table: LinkTable): Occupied[] {
  const to = parsePrefix(destination);
  if (to === null || to.length === 0 || protocol === ROUTE_PROTOCOL || !deciding.has(type)) return [];
  const device = type === 1 ? table.nameOf(index) : null;
  return [{ prefix: to, by: "route", device, bridge: device !== null && isBridge(device, table) }];
}

function isBridge(device: string, table: LinkTable): boolean {
  return table.named(device)?.type === "bridge";
}
