/**
 * The contract of a backend: how packets get from host to host. A backend is pure: it says which objects must stand, and
 * never touches a kernel or a store. It sees one host at a time and knows of no other backend.
 */
import type { Family, Ip } from "../model/ip.ts";
import type { Json } from "../model/json.ts";
import type { Lease, Subnets } from "../model/lease.ts";
import type { Mac } from "../model/mac.ts";
import type { BackendConfig, NetworkConfig } from "../model/network_config.ts";
import type { Obj } from "../model/objects.ts";
import type { Members } from "./members.ts";

/** The device that carries the tunnels, and what control found out about it. */
export interface Underlay {
  readonly device: string;
  readonly mtu: number;
  /** The device's own address of each family: the tunnels' source. */
  readonly v4: Ip | null;
  readonly v6: Ip | null;
  /** How a host is reached: on our link, through a gateway, not at all (null). Fresh as of the last route event. */
  route(to: Ip): { readonly onLink: boolean; readonly device: string } | null;
}

/** This host. */
export interface Host {
  /** By what this host is known in the store: 32 hexadecimal digits; MACs of new devices follow from it. */
  readonly id: string;
  /** Our name among the daemons of this machine; part of what marks objects as ours. */
  readonly instance: string;
  /** Names of daemons that run no more, whose objects are ours now (`control/take_over.ts`). */
  readonly formerInstances?: readonly string[];
  readonly network: NetworkConfig;
  /** Null before the first lease: then only what is needed to publish one is wanted (the device). */
  readonly subnets: Subnets | null;
  /** What we publish; differs from the underlay's address behind a NAT. */
  readonly publicIp: Ip | null;
  readonly publicIpv6: Ip | null;
  readonly underlay: Underlay;
  /** MACs of existing devices of ours by device name: a device keeps its MAC. */
  readonly macs: ReadonlyMap<string, Mac>;
  /** The name of our TUN device, where the backend has one: an existing one of ours, or the first `flannelN` that is free. */
  readonly tun: string;
  /** Peers may send from another address than their public one (`-udp-accept-moved`). */
  readonly acceptMoved: boolean;
}

/** Why a peer gets no objects; for the log and `status`. */
export interface Refused {
  readonly refused: string;
  /** True where nothing is wrong with its record: this backend can't reach a host that is where this one is. */
  readonly byConfiguration?: boolean;
}

export function isRefused(result: readonly Obj[] | Refused): result is Refused {
  return "refused" in result;
}

export interface Backend {
  /** As in the configuration's `Backend.Type`. */
  readonly type: string;
  /** As in a record's `BackendType`; empty for alloc. */
  readonly recordType: string;
  /** What its section of the configuration may say, beside `Type`. */
  readonly members: Members;
  /** What is wrong with the `Backend` section, in one sentence naming member, value and rule; null where nothing is. */
  check(config: BackendConfig): string | null;
  /** True where `toward` asks how peers are reached (DirectRouting, host-gw): control then keeps the answers fresh. */
  usesUnderlayRoutes(config: BackendConfig): boolean;
  /** Why this host cannot run the backend (host-gw behind a NAT …), or null. */
  unsuited(self: Host, family: Family): string | null;
  /** Our device of this family, null where there is none. What stands on it inside our network is ours to say. */
  device(self: Host, family: Family): TunnelDevice | null;
  /** Device, own address, sysctls. */
  base(self: Host, family: Family): readonly Obj[];
  /** What one peer needs. */
  toward(self: Host, peer: Lease, family: Family): readonly Obj[] | Refused;
  /** This family's backend data for our own record; undefined where the backend has none. */
  publish(self: Host, family: Family): Json | undefined;
  /** MTU of what goes through (FLANNEL_MTU). */
  mtu(self: Host, family: Family): number;
}

export interface TunnelDevice {
  readonly name: string;
  /** 24 bits, for adopting a VXLAN device that another daemon left behind; null for a device that goes with its process. */
  readonly vni: number | null;
}
