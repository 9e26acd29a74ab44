/** What the kernel says about the underlay: interfaces, routes to hosts, the default route. Asks, and changes nothing. */
import type { AddressRecord, Netlink, RouteRecord } from "../../ffi/records.ts";
import { type Family, formatIp, type Ip, parseIp } from "../model/ip.ts";
import type { DefaultRoute, Interface, InterfaceAddress, RouteAnswer } from "./kernel.ts";
import { LinkTable } from "./link_table.ts";
import { MAIN_TABLE } from "./routes.ts";

/** IFA_F_* (linux/if_addr.h). */
const TEMPORARY = 0x01;
const DADFAILED = 0x08;
const DEPRECATED = 0x20;
const TENTATIVE = 0x40;
const PERMANENT = 0x80;

const scopes: ReadonlyMap<number, InterfaceAddress["scope"]> = new Map([
  [0, "global"],
  [253, "link"],
  [254, "host"],
]);

/** All devices with their addresses, both in the kernel's order. */
export async function readInterfaces(netlink: Netlink): Promise<Interface[]> {
  const [links, addresses] = await Promise.all([netlink.links(), netlink.addresses()]);
  return links.map(({ name, index, type, alias, mtu, up }) => ({
    name,
    index,
    type,
    alias,
    mtu,
    up,
    addresses: addresses.filter((a) => a.index === index).flatMap((a) => interfaceAddress(a) ?? []),
  }));
}

function interfaceAddress({ address, length, scope, flags }: AddressRecord): InterfaceAddress | null {
  const parsed = parseIp(address);
  return parsed && {
    address: parsed,
    length,
    scope: scopes.get(scope) ?? "other",
    deprecated: (flags & DEPRECATED) !== 0,
    tentative: (flags & (TENTATIVE | DADFAILED)) !== 0,
    // The same bit says "secondary" of an IPv4 address.
    temporary: parsed.family === 6 && (flags & TEMPORARY) !== 0,
    permanent: (flags & PERMANENT) !== 0,
  };
}

/** How the kernel would send to each address; null where it would not. */
export async function readRoutes(netlink: Netlink, to: readonly Ip[]): Promise<(RouteAnswer | null)[]> {
  if (to.length === 0) return [];
  const [links, answers] = await Promise.all([netlink.links(), netlink.lookUp(to.map(formatIp))]);
  const table = new LinkTable(links);
  return answers.map((answer) => typeof answer === "number" ? null : routeAnswer(answer, table));
}

function routeAnswer({ index, gateway, source }: RouteRecord, table: LinkTable): RouteAnswer | null {
  const device = table.nameOf(index);
  return device === null ? null : { device, gateway: parse(gateway), source: parse(source) };
}

/** By metric; one over several paths names no single device. */
export async function readDefaultRoutes(netlink: Netlink, family: Family): Promise<DefaultRoute[]> {
  const [links, routes] = await Promise.all([netlink.links(), netlink.routes(MAIN_TABLE)]);
  const destination = family === 4 ? "0.0.0.0/0" : "::/0";
  const table = new LinkTable(links);
  return routes
    .filter((route) => route.destination === destination && route.type === 1)
    .sort((a, b) => a.metric - b.metric)
    .flatMap(({ index, gateway }) => {
      const device = table.nameOf(index);
      return device === null ? [] : { device, gateway: parse(gateway) };
    });
}

function parse(text: string | null): Ip | null {
  return text === null ? null : parseIp(text);
}
