/**
 * The contract of the kernel side: the only part of denim that writes to the kernel. It reads back what stands, applies
 * operations, tells of changes made by anybody, and answers questions about the underlay. It takes no decisions: what to do
 * is the plan's business.
 */
import type { UdpStatistics } from "../../ffi/udp_tunnel.ts";
import type { Family, Ip } from "../model/ip.ts";
import type { Owner } from "../model/owner.ts";
import type { Kind } from "../model/objects.ts";
import type { KindRules, Observed, Operation, Outcome, Scope, Told } from "../model/plan.ts";
import type { Occupied } from "../model/occupied.ts";

export interface KernelEvent {
  /** Which kinds changed; `chain` stands for any change of the firewall. "lost" where events were dropped (ENOBUFS). */
  readonly kinds: ReadonlySet<Kind | "lost">;
}

/** What the kernel has told since it was asked last, up to that moment. */
export interface KernelChanges {
  /**
   * Every single object that somebody changed, ourselves included, in order. Null where that would not be all: events were
   * lost, or a device of ours has changed, with which much goes unannounced.
   */
  readonly told: readonly Told[] | null;
  /** What decides which interface is ours, or how others are reached, may have changed. */
  readonly underlay: boolean;
}

/** True also where it is unknown what has changed. */
export function concerns({ kinds }: KernelEvent, wanted: readonly Kind[]): boolean {
  return kinds.has("lost") || wanted.some((kind) => kinds.has(kind));
}

export function isFirewallAlone({ kinds }: KernelEvent): boolean {
  return kinds.size === 1 && kinds.has("chain");
}

/** A network device as it is. */
export interface Interface {
  readonly name: string;
  readonly index: number;
  /** IFLA_INFO_KIND: `vxlan`, `bridge`, `veth` …; empty for a physical device. */
  readonly type: string;
  /** IFLA_IFALIAS; empty where there is none. */
  readonly alias: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly addresses: readonly InterfaceAddress[];
}

export interface InterfaceAddress {
  readonly address: Ip;
  readonly length: number;
  /** `global` or `link`; others are never chosen. */
  readonly scope: "global" | "link" | "host" | "other";
  readonly deprecated: boolean;
  /** Not to be used yet, or never: duplicate address detection is under way, or has found another owner (RFC 4862). */
  readonly tentative: boolean;
  readonly temporary: boolean;
  /** Without an end: not from DHCP, not from a router's advertisement. */
  readonly permanent: boolean;
}

/** A default route of the main table over a single device. */
export interface DefaultRoute {
  readonly device: string;
  readonly gateway: Ip | null;
}

/** How the kernel would send to an address. */
export interface RouteAnswer {
  readonly device: string;
  readonly gateway: Ip | null;
  /** The source address it would choose. */
  readonly source: Ip | null;
}

/** A userspace tunnel's figures. */
export interface TunnelReport {
  readonly device: string;
  readonly statistics: UdpStatistics;
  /** The subnets of `statistics.peers`, in the same order. */
  readonly subnets: readonly string[];
  /** The device outlives this process: a service manager keeps it. */
  readonly kept: boolean;
}

export interface Kernel extends Disposable {
  readonly rules: ReadonlyMap<Kind, KindRules>;
  /** False where the kernel has no nexthop objects (before Linux 5.3); known after the first read of the network. */
  readonly hasNexthops: boolean;
  /** Ours, adoptable, lookalike, and whatever foreign object could be in our way; nothing else. */
  read(owner: Owner, scope: Scope): Promise<Observed[]>;
  /** One outcome per operation, in their order. Never rejects for a single operation's sake. */
  apply(operations: readonly Operation[]): Promise<Outcome[]>;
  /** What was told of the network's objects since the last call; all that was told before the call is in the answer. */
  changes(owner: Owner): Promise<KernelChanges>;
  /** Something has changed; what it was, `changes` says. Ends when the signal is aborted. */
  events(signal: AbortSignal): AsyncIterable<KernelEvent>;
  interfaces(): Promise<Interface[]>;
  /** Null where there is no route. One answer per address, in their order. */
  routes(to: readonly Ip[]): Promise<(RouteAnswer | null)[]>;
  /** The default routes of the main table, the one that counts first; none over several paths. */
  defaultRoutes(family: Family): Promise<DefaultRoute[]>;
  /** What this host has without the daemon of `owner`: the networks of other devices, and routes that are not its own. */
  occupied(owner: Owner): Promise<Occupied[]>;
  /** The userspace tunnels that run, as of now. */
  tunnels(): readonly TunnelReport[];
}
