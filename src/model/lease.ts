/**
 * A lease: which host owns which subnet, as the store knows it.
 *
 * `Subnets` is the identity (the store's key), `LeaseRecord` the content (the store's value), `Lease` both with what the
 * store adds: a version for conditional writes and an expiry. Codecs for key and value: `lease_codec.ts`.
 */
import type { Instant } from "./clock.ts";
import type { Mark } from "./identity.ts";
import { families, type Family, type Ip } from "./ip.ts";
import type { Json } from "./json.ts";
import { formatPrefix, type Prefix, samePrefix } from "./prefix.ts";

/** The subnet of each family that a host owns; at least one is set. */
export interface Subnets {
  readonly v4: Prefix | null;
  readonly v6: Prefix | null;
}

export interface LeaseRecord {
  /** Null where the record has none (upstream then writes 0.0.0.0). */
  readonly publicIp: Ip | null;
  readonly publicIpv6: Ip | null;
  /** Lower case; empty for alloc (and upstream's udp). */
  readonly backendType: string;
  readonly backendData?: Json;
  readonly backendV6Data?: Json;
  /** Whose it is, by a host's own id; absent where flannel wrote it, or a denim from before there were marks. */
  readonly mark?: Mark;
  /** Members of the value that we do not know; kept when the record is written again. */
  readonly extra?: Readonly<Record<string, Json>>;
}

/** Opaque to everybody but the store that made it. */
export type Version = string;

export interface Lease {
  readonly subnets: Subnets;
  readonly record: LeaseRecord;
  readonly version: Version;
  /** Grows with each creation in the store: of two claims to one thing, the lower is the older and wins on every host. */
  readonly created: number;
  /** Null for a reservation, which never ends. */
  readonly expires: Instant | null;
  /** The last that the store told of a record which can't be read now, or which it lacks since it was restored. */
  readonly doubtful?: true;
}

/** The same, for as long as the store does not tell it any more. */
export function doubtful(lease: Lease): Lease {
  return lease.doubtful ? lease : { ...lease, doubtful: true };
}

export function subnetOf(subnets: Subnets, family: Family): Prefix | null {
  return family === 4 ? subnets.v4 : subnets.v6;
}

/** Those that are set. */
export function prefixesOf(subnets: Subnets): Prefix[] {
  return families.flatMap((family) => subnetOf(subnets, family) ?? []);
}

export function publicIpOf(record: LeaseRecord, family: Family): Ip | null {
  return family === 4 ? record.publicIp : record.publicIpv6;
}

export function backendDataOf(record: LeaseRecord, family: Family): Json | undefined {
  return family === 4 ? record.backendData : record.backendV6Data;
}

export function sameSubnets(a: Subnets, b: Subnets): boolean {
  return samePrefix(a.v4, b.v4) && samePrefix(a.v6, b.v6);
}

/** For people: `10.1.15.0/24` or `10.1.15.0/24, fd00:1::/64`. */
export function describeSubnets(subnets: Subnets): string {
  return families.flatMap((f) => subnetOf(subnets, f) ?? []).map(formatPrefix).join(", ");
}
