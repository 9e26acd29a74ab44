/**
 * What can stand on a host: links, addresses, neighbours, FDB entries, userspace tunnels and their peers, nexthop objects,
 * routes, sysctls, firewall chains, jumps and bare rules.
 *
 * An object is plain data, a union by `kind`. `kind` and `key` identify it (the key is what the kernel tells objects apart by),
 * `fields` say how it is. Of a *desired* object only the fields that are present are compared and set: one left out is not ours
 * to say, and is optional below. An *observed* object has every field that its driver reads. Field values are scalars, lists of
 * strings or secrets, so that comparing needs to know no kind. What a kind can do is its driver in `src/kernel/`.
 */
import { firewallTool } from "./firewall.ts";
import type { Family, Ip } from "./ip.ts";
import { formatIp } from "./ip.ts";
import type { Mac } from "./mac.ts";
import { formatPrefix, type Prefix } from "./prefix.ts";
import { Secret } from "./secret.ts";

/** Addresses, prefixes and MACs are texts in their normal form. */
export interface FieldsByKind {
  readonly tunnel: TunnelFields;
  readonly link: LinkFields;
  /** A value below /proc/sys, without its line end. */
  readonly sysctl: { readonly value: string };
  readonly address: { readonly device: string; readonly address: string; readonly length: number };
  readonly neighbour: NeighbourFields;
  readonly fdb: FdbFields;
  readonly peer: PeerFields;
  readonly nexthop: NexthopFields;
  readonly route: RouteFields;
  /** Rules as `iptables-save` prints them, without `-A CHAIN`. */
  readonly chain: { readonly rules: readonly string[] };
  readonly jump: { readonly rule: string };
  readonly rules: { readonly rules: readonly string[] };
}

/** As read back from what a service manager has kept, a tunnel has ports, addresses and queues alone. */
export interface TunnelFields {
  /** Null where what was kept has no socket. */
  readonly port: number | null;
  readonly underlay: readonly string[];
  readonly queues: number;
  readonly icmpSources?: readonly string[];
  readonly sender?: string;
  readonly sources?: number;
  readonly acceptMoved?: boolean;
}

/** Named as in `ip -d link`; source: IFLA_* and IFLA_VXLAN_* in linux/if_link.h. */
export interface LinkFields {
  /** IFLA_INFO_KIND; empty for a physical device. */
  readonly type: string;
  readonly alias: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly mac?: Mac | null;
  readonly vni?: number;
  /** Name of the underlay device. */
  readonly lower?: string | null;
  readonly local?: string | null;
  readonly group?: string | null;
  /** UDP destination port. */
  readonly port?: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** Seconds. */
  readonly ageing?: number;
  readonly learning?: boolean;
  readonly proxy?: boolean;
  readonly rsc?: boolean;
  readonly l2miss?: boolean;
  readonly l3miss?: boolean;
  readonly gbp?: boolean;
  readonly udpCsum?: boolean;
  readonly udp6ZeroCsumTx?: boolean;
  readonly udp6ZeroCsumRx?: boolean;
}

/** `permanent`, or `dynamic` for what the kernel may forget. */
type EntryState = "permanent" | "dynamic";

export interface NeighbourFields {
  readonly device: string;
  readonly address: string;
  readonly mac: Mac | null;
  readonly state: EntryState;
  /** NDA_PROTOCOL (Linux 5.2); 0 where there is none. */
  readonly protocol: number;
}

export interface FdbFields {
  readonly device: string;
  readonly mac: Mac | null;
  /** The VTEP; null for an entry without one. */
  readonly destination: string | null;
  readonly state: EntryState;
}

export interface PeerFields {
  readonly device: string;
  readonly subnet: string;
  readonly address: string;
  readonly port: number;
}

export interface NexthopFields {
  /** 1 to 2³² - 1. */
  readonly id: number;
  readonly gateway: string | null;
  readonly device: string | null;
  readonly onlink: boolean;
  /** `unicast`, or what else it stands for: `blackhole`, `group` … */
  readonly type: string;
  readonly protocol: number;
}

export interface RouteFields {
  readonly destination: string;
  /** Of a route over several paths how many these are: it equals none with a gateway. */
  readonly gateway: string | null;
  readonly device: string | null;
  readonly onlink: boolean;
  /** RTN_* in lower case. */
  readonly type: string;
  /** RTPROT_*. */
  readonly protocol: number;
  /** The id of the nexthop object that says where it leads. */
  readonly nexthop: number | null;
  /** RT_SCOPE_*. */
  readonly scope?: number;
  readonly source?: string | null;
  readonly metric?: number;
  readonly tos?: number;
  /** 0 for a single path. */
  readonly paths?: number;
}

/** In the order in which they are made; removal goes the other way. */
export const kinds = [
  "tunnel",
  "link",
  "sysctl",
  "address",
  "neighbour",
  "fdb",
  "peer",
  "nexthop",
  "route",
  "chain",
  "jump",
  "rules",
] as const satisfies readonly (keyof FieldsByKind)[];
export type Kind = (typeof kinds)[number];

export interface ObjectOf<K extends Kind> {
  readonly kind: K;
  readonly key: string;
  /** The device it stands on: it goes when that device goes. */
  readonly on?: string;
  readonly fields: FieldsByKind[K];
}

/** Any object; `kind` tells which fields it has. */
export type Obj = { [K in Kind]: ObjectOf<K> }[Kind];

/** `route 10.1.15.0/24`: what identifies an object. */
export type ObjectId = string;

export function idOf({ kind, key }: Pick<Obj, "kind" | "key">): ObjectId {
  return `${kind} ${key}`;
}

/** The name of a field of that kind, or of any of these kinds. */
export type FieldName<K extends Kind = Kind> = K extends Kind ? keyof FieldsByKind[K] & string : never;

export type FieldValue = string | number | boolean | null | readonly string[] | Secret;

/** Objects by kind and key; of several with the same, the last. */
export class ObjectIndex<T extends Obj = Obj> {
  readonly #byKind = new Map<Kind, Map<string, T>>();

  constructor(objects: Iterable<T> = []) {
    for (const object of objects) this.add(object);
  }

  add(object: T): void {
    const known = this.#byKind.get(object.kind);
    if (known) known.set(object.key, object);
    else this.#byKind.set(object.kind, new Map([[object.key, object]]));
  }

  /** The object here that has the kind and key of `object`. */
  get({ kind, key }: Pick<Obj, "kind" | "key">): T | undefined {
    return this.#byKind.get(kind)?.get(key);
  }
}

/** Whether two objects of one kind and key are the same in everything else. */
export function sameFields(a: Obj, b: Obj): boolean {
  return a.fields === b.fields || fits(a.fields, b.fields) && fits(b.fields, a.fields);
}

/** True where all that `wanted` names stands so, but for the fields in `except`. */
export function fits(
  wanted: Obj["fields"],
  standing: Obj["fields"],
  except: readonly string[] = [],
): boolean {
  for (const field in wanted) {
    if (!sameValue(valueOf(wanted, field), valueOf(standing, field)) && !except.includes(field)) return false;
  }
  return true;
}

/** The value of a field by name; undefined where there is none. */
export function valueOf(fields: Obj["fields"], field: string): FieldValue | undefined {
  return (fields as Readonly<Record<string, FieldValue | undefined>>)[field];
}

export function sameValue(a: FieldValue | undefined, b: FieldValue | undefined): boolean {
  if (a === b) return true;
  if (a instanceof Secret) return b instanceof Secret && a.equals(b);
  if (!Array.isArray(a) || !Array.isArray(b)) return false;
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

/** In the order of `kinds`; within a kind as they come. */
export function inOrder<T extends Obj>(objects: readonly T[]): T[] {
  const groups = Map.groupBy(objects, (object) => object.kind);
  return kinds.flatMap((kind) => groups.get(kind) ?? []);
}

/** What iptables holds; all else is netlink's and /proc/sys's. */
export type FirewallKind = "chain" | "jump" | "rules";

export function isFirewall(kind: Kind): kind is FirewallKind {
  return kind === "chain" || kind === "jump" || kind === "rules";
}

/** True for what is a device or makes one: everything else may stand on it. */
export function makesDevices({ kind }: Pick<Obj, "kind">): boolean {
  return kind === "tunnel" || kind === "link";
}

/** The route protocol number that marks a route as ours (rtm_protocol; unused in iproute2's rt_protos). */
export const ROUTE_PROTOCOL = 85;

/** A device's alias (IFLA_IFALIAS) that marks it as this instance's. */
export function linkAlias(instance: string): string {
  return `denim:${instance}`;
}

/** The instance whose alias this is; null where it is none of ours. */
export function daemonOf(alias: unknown): string | null {
  return typeof alias === "string" ? /^denim:([a-z0-9-]{1,8})$/.exec(alias)?.[1] ?? null : null;
}

/** Settings of a VXLAN device; names as in `ip -d link`. Source: IFLA_VXLAN_* in linux/if_link.h. */
export interface VxlanSpec {
  readonly name: string;
  readonly alias: string;
  readonly vni: number;
  /** Name of the underlay device. */
  readonly lower: string;
  readonly local: Ip;
  /** UDP destination port. */
  readonly port: number;
  readonly learning: boolean;
  readonly gbp: boolean;
  readonly mtu: number;
  readonly mac: Mac;
}

export function vxlanLink(spec: VxlanSpec): ObjectOf<"link"> {
  const { name, local, ...rest } = spec;
  return {
    kind: "link",
    key: name,
    fields: { ...rest, type: "vxlan", local: formatIp(local), l2miss: false, up: true },
  };
}

/** A TUN device whose packets this process carries in UDP datagrams. The device is there as long as they are carried. */
export interface TunnelSpec {
  readonly name: string;
  /** Where the sockets are bound. */
  readonly port: number;
  /** This host's addresses in the underlay, a socket for each. */
  readonly underlay: readonly Ip[];
  /** Where ICMP errors come from: the tunnel's own addresses. */
  readonly icmpSources: readonly Ip[];
  /** Threads, each with a queue of the device and sockets of its own. */
  readonly queues: number;
  /** How datagrams leave: `socket`, `pool`, `raw`. */
  readonly sender: string;
  /** Source ports of a pool. */
  readonly sources: number;
  /** Peers may send from another address than their public one. */
  readonly acceptMoved: boolean;
}

export function udpTunnel({ name, ...spec }: TunnelSpec): ObjectOf<"tunnel"> {
  const underlay = spec.underlay.map(formatIp);
  const icmpSources = spec.icmpSources.map(formatIp);
  return { kind: "tunnel", key: name, fields: { ...spec, underlay, icmpSources } };
}

/** What every device has, of the TUN device that a tunnel makes. */
export function tunLink(name: string, alias: string, mtu: number): ObjectOf<"link"> {
  return { kind: "link", key: name, fields: { type: "tun", alias, mtu, up: true } };
}

/** Packets to `subnet` go to the peer at this address and port, and only from there are packets of that subnet taken. */
export function tunnelPeer(device: string, subnet: Prefix, publicIp: Ip, port: number): ObjectOf<"peer"> {
  return {
    kind: "peer",
    key: `${device} ${formatPrefix(subnet)}`,
    on: device,
    fields: { device, subnet: formatPrefix(subnet), address: formatIp(publicIp), port },
  };
}

/** An address on a link, without a connected route beyond itself where the prefix is /32 or /128. */
export function address(device: string, ip: Ip, length: number): ObjectOf<"address"> {
  return {
    kind: "address",
    key: `${device} ${formatIp(ip)}`,
    on: device,
    fields: { device, address: formatIp(ip), length },
  };
}

/** A permanent neighbour (ARP or ND) entry. */
export function neighbour(device: string, ip: Ip, mac: Mac): ObjectOf<"neighbour"> {
  return {
    kind: "neighbour",
    key: `${device} ${formatIp(ip)}`,
    on: device,
    fields: { device, address: formatIp(ip), mac, state: "permanent", protocol: ROUTE_PROTOCOL },
  };
}

/** A permanent forwarding entry of a VXLAN device: frames for `mac` go to the VTEP at `destination`. */
export function fdbEntry(device: string, mac: Mac, destination: Ip): ObjectOf<"fdb"> {
  return {
    kind: "fdb",
    key: `${device} ${mac}`,
    on: device,
    fields: { device, mac, destination: formatIp(destination), state: "permanent" },
  };
}

export interface RouteSpec {
  readonly destination: Prefix;
  readonly gateway: Ip | null;
  readonly device: string;
  /** The gateway counts as reachable on the device whatever the addresses say (RTNH_F_ONLINK). */
  readonly onlink: boolean;
}

/** A unicast route in the main table with metric 0. */
export function route(spec: RouteSpec): ObjectOf<"route"> {
  return {
    kind: "route",
    key: formatPrefix(spec.destination),
    on: spec.device,
    fields: {
      destination: formatPrefix(spec.destination),
      gateway: spec.gateway === null ? null : formatIp(spec.gateway),
      device: spec.device,
      onlink: spec.onlink,
      type: "unicast",
      protocol: ROUTE_PROTOCOL,
      nexthop: null,
    },
  };
}

/** A nexthop object: one gateway on one device, which routes name by its id (1 to 2³² - 1; linux/nexthop.h). */
export function nexthop(
  id: number,
  spec: { gateway: string; device: string; onlink: boolean },
): ObjectOf<"nexthop"> {
  return {
    kind: "nexthop",
    key: String(id),
    on: spec.device,
    fields: { id, ...spec, type: "unicast", protocol: ROUTE_PROTOCOL },
  };
}

/** The same route by way of a nexthop object: gateway and onlink are that object's to say. */
export function viaNexthop(plain: ObjectOf<"route">, id: number): ObjectOf<"route"> {
  return { ...plain, fields: { ...plain.fields, gateway: null, onlink: false, nexthop: id } };
}

/** A kernel setting below /proc/sys; `name` with slashes, as in `net/ipv6/conf/flannel.1/accept_ra`. */
export function sysctl(name: string, value: string, on?: string): ObjectOf<"sysctl"> {
  return { kind: "sysctl", key: name, ...(on === undefined ? {} : { on }), fields: { value } };
}

/** A firewall chain with all its rules in order; rules as `iptables-save` prints them, without `-A CHAIN`. */
export function chain(
  family: Family,
  table: string,
  name: string,
  rules: readonly string[],
): ObjectOf<"chain"> {
  return { kind: "chain", key: `${firewallTool(family)} ${table} ${name}`, fields: { rules } };
}

/** The one rule in a built-in chain that leads to one of ours. `rule` as in `chain`. */
export function jump(
  family: Family,
  table: string,
  from: string,
  to: string,
  rule: string,
): ObjectOf<"jump"> {
  return {
    kind: "jump",
    key: `${firewallTool(family)} ${table} ${from} ${to}`,
    fields: { rule },
  };
}

/** Several rules of ours straight in a built-in chain, in order, wherever in it they stand. `rules` as in `chain`. */
export function bareRules(
  family: Family,
  table: string,
  within: string,
  rules: readonly string[],
): ObjectOf<"rules"> {
  return { kind: "rules", key: `${firewallTool(family)} ${table} ${within}`, fields: { rules } };
}
