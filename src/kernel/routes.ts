/**
 * Routes of the main table.
 *
 * The key is the destination, for a route of the metric that the kernel gives when none is named (0; 1024 for IPv6); others
 * carry their metric and type of service, and further routes of the same key their path. So the plain key stands for the
 * route that CREATE|EXCL collides with and REPLACE replaces: the first of the kernel's list.
 * A route over several paths says so in place of its gateway: it never equals one with a gateway. Where one by way of a nexthop
 * object leads is that object's to say; the device is told all the same, it goes when the device goes. The kernel leaves it
 * out where `net.ipv4.nexthop_compat_mode` is 0.
 */
import type { Change, Netlink, NexthopRecord, RouteRecord } from "../../ffi/records.ts";
import type { ObjectOf } from "../model/objects.ts";
import { remembered } from "../model/memo.ts";
import type { KindRules, ObservedOf, OperationOn, Verb } from "../model/plan.ts";
import type { Driver } from "./driver.ts";
import type { Owner } from "../model/owner.ts";
import { deviceStandings } from "./links.ts";
import type { LinkTable } from "./link_table.ts";
import { applyChanges, type Translation } from "./outcomes.ts";
import { defaultMetric, routeStanding } from "./ownership.ts";

/** RT_TABLE_MAIN. */
export const MAIN_TABLE = 254;

/** RTN_* by number (linux/rtnetlink.h). */
const types = [
  "unspec",
  "unicast",
  "local",
  "broadcast",
  "anycast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
  "nat",
  "xresolve",
] as const;

/** RT_SCOPE_*. */
const UNIVERSE = 0;
const LINK = 253;

export const routeRules: KindRules<"route"> = {
  kind: "route",
  marks: ["protocol"],
  needsRecreate: () => false,
  print: printRoute,
};

export function routeDriver(netlink: Netlink): Driver<"route"> {
  const observe = remembered(observeRoute);
  return {
    rules: [routeRules],
    scope: "network",
    read: async (owner, links) => {
      const table = await links();
      const records = await netlink.routes(MAIN_TABLE);
      const nexthops = records.some(isBare) ? await netlink.nexthops() : none;
      return withUniqueKeys(records.flatMap((record) => observe(record, table, owner, nexthops) ?? []));
    },
    apply: async (operations, links) => {
      const table = await links();
      const translate = (operation: OperationOn<"route">) => translateRoute(operation, table);
      return await applyChanges(routeRules, operations, translate, (all) => netlink.applyRoutes(all));
    },
  };
}

const none: readonly NexthopRecord[] = [];

/** True where the kernel names a nexthop object and nothing of what it says. */
export function isBare({ nexthop, index }: RouteRecord): boolean {
  return nexthop !== 0 && index === 0;
}

const nexthopById = remembered((nexthops: readonly NexthopRecord[]) =>
  new Map(nexthops.map((nexthop) => [nexthop.id, nexthop]))
);

/** Null for what is nobody's business here. */
export function observeRoute(
  record: RouteRecord,
  table: LinkTable,
  owner: Owner,
  nexthops: readonly NexthopRecord[],
): ObservedOf<"route"> | null {
  const found = isBare(record) ? nexthopById(nexthops).get(record.nexthop) : undefined;
  const object = routeObject({ ...record, index: found?.index ?? record.index }, table);
  const standing = routeStanding(object, owner, deviceStandings(table, owner));
  return standing && { ...object, standing };
}

function withUniqueKeys(routes: readonly ObservedOf<"route">[]): ObservedOf<"route">[] {
  const taken = new Set<string>();
  return routes.map((route) => {
    const key = uniqueKey(route, taken);
    taken.add(key);
    return key === route.key ? route : { ...route, key };
  });
}

export function routeObject(record: RouteRecord, table: LinkTable): ObjectOf<"route"> {
  const { destination, protocol, scope, source, metric, tos, paths } = record;
  const nexthop = record.nexthop === 0 ? null : record.nexthop;
  const type = types[record.type] ?? String(record.type);
  // IPv6 shows a route that leads nowhere as one through lo.
  const device = type === "unicast" ? table.nameOf(record.index) : null;
  return {
    kind: "route",
    key: routeKey(record),
    ...(device === null ? {} : { on: device }),
    fields: {
      destination,
      gateway: nexthop !== null ? null : paths !== 0 ? `${paths} paths` : record.gateway,
      device,
      onlink: nexthop === null && record.onlink,
      type,
      protocol,
      scope,
      source,
      metric,
      tos,
      paths,
      nexthop,
    },
  };
}

function routeKey({ destination, metric, tos }: RouteRecord): string {
  const expected = metric === metricOf(destination) ? "" : ` metric ${metric}`;
  return `${destination}${expected}${tos === 0 ? "" : ` tos ${tos}`}`;
}

function metricOf(destination: string): number {
  return defaultMetric(destination.includes(":") ? 6 : 4);
}

function uniqueKey({ key, fields }: ObjectOf<"route">, taken: ReadonlySet<string>): string {
  if (!taken.has(key)) return key;
  const way = fields.nexthop === null ? `via ${fields.gateway}` : `nhid ${fields.nexthop}`;
  const longer = `${key} ${way} dev ${fields.device}`;
  let unique = longer;
  for (let n = 2; taken.has(unique); n++) unique = `${longer} (${n})`;
  return unique;
}

/** A new route never takes another's place; a changed one takes the place of what was read there. */
function translateRoute({ verb, object }: OperationOn<"route">, table: LinkTable): Translation<RouteRecord> {
  const { device } = object.fields;
  const index = device === null ? 0 : table.indexOf(device);
  if (index === null) return verb === "delete" ? [] : { impossible: `there is no device "${device}"` };
  return [{ verb: routeVerb(verb), record: routeRecord(object, index) }];
}

function routeVerb(verb: Verb): Change<RouteRecord>["verb"] {
  return verb === "create" || verb === "delete" ? verb : "replace";
}

function routeRecord({ fields }: ObjectOf<"route">, index: number): RouteRecord {
  const { destination, protocol, onlink, source = null, metric = metricOf(destination), tos = 0, paths = 0 } =
    fields;
  const type = types.findIndex((t) => t === fields.type);
  const nexthop = fields.nexthop ?? 0;
  const gateway = paths === 0 ? fields.gateway : null;
  const direct = gateway === null && nexthop === 0 && type === 1 && !destination.includes(":");
  return {
    destination,
    gateway,
    index,
    source,
    table: MAIN_TABLE,
    protocol,
    scope: fields.scope ?? (direct ? LINK : UNIVERSE),
    type,
    onlink,
    metric,
    tos,
    paths: 0,
    nexthop,
  };
}

function printRoute({ fields }: ObjectOf<"route">): string {
  const { type, destination, gateway, device, onlink, protocol, metric, nexthop } = fields;
  const words = [type === "unicast" ? destination : `${type} ${destination}`];
  if (nexthop !== null) words.push(`nhid ${nexthop}`);
  if (gateway !== null) words.push(`via ${gateway}`);
  if (device !== null) words.push(`dev ${device}`);
  if (onlink) words.push("onlink");
  words.push(`proto ${protocols.get(protocol) ?? protocol}`);
  if (metric !== undefined && metric !== metricOf(destination)) words.push(`metric ${metric}`);
  return words.join(" ");
}

/** RTPROT_* that have a name in iproute2's default rt_protos and could meet us. */
const protocols: ReadonlyMap<number, string> = new Map([
  [1, "redirect"],
  [2, "kernel"],
  [3, "boot"],
  [4, "static"],
  [9, "ra"],
  [12, "bird"],
  [16, "dhcp"],
  [186, "bgp"],
  [196, "zebra"],
]);
