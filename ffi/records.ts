/**
 * What the C library reads and writes, as TypeScript values, and its surface as an interface.
 *
 * One record type serves reading and applying. Addresses are text (`formatIp`), prefixes `address/length`, numbers in host
 * order. The binary layout of the same records is in `native/denim.h`; `codec.ts` translates, and refuses to run where the
 * library's layout differs. Nothing here decides anything.
 */

/** RTM_*LINK. VXLAN members are null for other kinds and, on apply, for "leave it to the kernel". */
export interface LinkRecord {
  /** 0 on apply where the device is named only. */
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND: `vxlan`, `veth` …; empty for physical devices. */
  readonly type: string;
  readonly alias: string;
  /** Null where the device has none, or on apply to leave it. */
  readonly mac: string | null;
  /** 0 on apply to leave it. */
  readonly mtu: number;
  readonly up: boolean;
  readonly vxlan: VxlanRecord | null;
}

/** IFLA_VXLAN_*. */
export interface VxlanRecord {
  readonly vni: number;
  /** ifindex of the underlay device; 0 where none. */
  readonly lower: number;
  readonly local: string | null;
  readonly group: string | null;
  readonly port: number;
  readonly ttl: number;
  readonly tos: number;
  /** Seconds. 0 on apply to leave it to the kernel, like `lower` and `port`. */
  readonly ageing: number;
  readonly learning: boolean;
  readonly proxy: boolean;
  readonly rsc: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
  readonly gbp: boolean;
  readonly udpCsum: boolean;
  readonly udp6ZeroCsumTx: boolean;
  readonly udp6ZeroCsumRx: boolean;
}

/** RTM_*ADDR. */
export interface AddressRecord {
  readonly index: number;
  readonly address: string;
  readonly length: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
}

/** RTM_*ROUTE. */
export interface RouteRecord {
  readonly destination: string;
  readonly gateway: string | null;
  /** ifindex; 0 where none. */
  readonly index: number;
  readonly source: string | null;
  readonly table: number;
  /** rtm_protocol; 0 on delete matches any. */
  readonly protocol: number;
  readonly scope: number;
  /** RTN_*: 1 unicast, 6 blackhole. */
  readonly type: number;
  readonly onlink: boolean;
  readonly metric: number;
  readonly tos: number;
  /** Paths of a multipath route; 0 for an ordinary one. */
  readonly paths: number;
  /** RTA_NH_ID: then gateway, device and onlink are the nexthop object's, and on apply are not sent; 0 where none. */
  readonly nexthop: number;
}

/** RTM_*NEXTHOP: where routes lead that name it by its id. */
export interface NexthopRecord {
  /** 1 to 2³² - 1. */
  readonly id: number;
  readonly gateway: string | null;
  /** ifindex; 0 where none. */
  readonly index: number;
  readonly onlink: boolean;
  /** nh_protocol. */
  readonly protocol: number;
  /** What it is instead of one gateway on one device; such an object can be read and deleted, not made. */
  readonly special: "blackhole" | "group" | "fdb" | "encapsulation" | null;
}

/** RTM_*NEIGH, for the neighbour tables (v4, v6) and for bridge forwarding (FDB) alike. */
export interface NeighbourRecord {
  readonly table: "v4" | "v6" | "fdb";
  readonly index: number;
  /** Neighbour: its address. FDB: the remote VTEP; null where none. */
  readonly address: string | null;
  readonly mac: string | null;
  /** NUD_*: 0x80 permanent. */
  readonly state: number;
  /** NTF_*: 0x02 self. */
  readonly flags: number;
  /** NDA_PROTOCOL; 0 where none. */
  readonly protocol: number;
}

/** `create` fails where something is there (EXCL); `replace` takes its place; `change` needs it to be there (links only). */
export type RecordVerb = "create" | "replace" | "change" | "delete";

export interface Change<R> {
  readonly verb: RecordVerb;
  readonly record: R;
}

export type MonitorKind =
  | "link"
  | "address"
  | "nexthop"
  | "route"
  | "neighbour"
  | "fdb"
  | "nftables"
  /** A route that the ring leaves out. */
  | "elsewhere"
  | "lost";

/** One thing that somebody changed, ourselves included, as the kernel told it: as it is now or, where it is gone, as it was. */
export type NetlinkChange =
  | RecordChange<"route", RouteRecord>
  | RecordChange<"nexthop", NexthopRecord>
  /** All three tables. */
  | RecordChange<"neighbour", NeighbourRecord>
  | { readonly kind: "link"; readonly gone: boolean; readonly up: boolean; readonly index: number }
  | { readonly kind: "address"; readonly index: number };

export interface RecordChange<K, R> {
  readonly kind: K;
  readonly gone: boolean;
  /** It took the place of another, as far as the kernel says so: of routes and nexthop objects. */
  readonly replaces: boolean;
  /** We did it, as far as the kernel says so. */
  readonly own: boolean;
  readonly record: R;
}

/** What was told since the last turn. */
export interface NetlinkChanges {
  readonly changes: readonly NetlinkChange[];
  /** Something was not told: only a whole read says how things are. */
  readonly lost: boolean;
}

/** Kinds as they come, changes when they are taken; neither is there any more when the signal is aborted. */
export interface NetlinkMonitor extends AsyncIterable<ReadonlySet<MonitorKind>> {
  /**
   * Everything that has changed since the last call, in order, up to this very moment. What goes with something else the
   * kernel does not always tell: not IPv4 routes and nexthop objects when their link goes down, nor IPv4 routes when their
   * nexthop object goes. A change to what is there already is not told.
   */
  take(): NetlinkChanges;
  /**
   * Whose neighbours and routes count from now on: devices by index, networks as `10.1.0.0/16`; until it is called, all. Of
   * routes (in `take` only) those of the main table count that denim made, or that lead over such a device, over a nexthop
   * object or into such a network.
   */
  watch(indexes: readonly number[], networks: readonly string[]): void;
}

/** rtnetlink, batched. Results are 0 or a negative errno, one per change, in order. Rejects only where the socket fails. */
export interface Netlink extends Disposable {
  links(): Promise<LinkRecord[]>;
  addresses(): Promise<AddressRecord[]>;
  /** Both families, one table. */
  routes(table: number): Promise<RouteRecord[]>;
  /** All of both families; none where the kernel has no nexthop objects. */
  nexthops(): Promise<NexthopRecord[]>;
  /** False once `nexthops` has found that the kernel has no nexthop objects (before Linux 5.3). */
  readonly nexthopsSupported: boolean;
  /** All three tables, of these devices only. */
  neighbours(indexes: readonly number[]): Promise<NeighbourRecord[]>;
  applyLinks(changes: readonly Change<LinkRecord>[]): Promise<number[]>;
  applyAddresses(changes: readonly Change<AddressRecord>[]): Promise<number[]>;
  applyRoutes(changes: readonly Change<RouteRecord>[]): Promise<number[]>;
  applyNexthops(changes: readonly Change<NexthopRecord>[]): Promise<number[]>;
  applyNeighbours(changes: readonly Change<NeighbourRecord>[]): Promise<number[]>;
  /** The kernel's answer for each address (RTM_GETROUTE), or a negative errno. */
  lookUp(addresses: readonly string[]): Promise<(RouteRecord | number)[]>;
  /**
   * What changed since the last turn, changes gathered; starts watching at once, not at the first turn. From the kinds, not
   * from what `take` tells, our own changes are left out where the kernel says whose they are (routes, nexthop objects, IPv4
   * addresses, new and replaced neighbours).
   */
  monitor(signal: AbortSignal): NetlinkMonitor;
}
