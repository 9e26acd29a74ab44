/**
 * Where things stand in etcd, letter for letter as upstream has them:
 *
 *     <prefix>/config                     the network configuration, written by the operator
 *     <prefix>/subnets/10.1.15.0-24       a host's record, under an etcd lease; without one it is a reservation
 *
 * Keys beside `subnets/` are nobody's business here, whatever their names begin with.
 */
import type { Instant } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Lease, Subnets, Version } from "../model/lease.ts";
import { decodeRecord, formatLeaseKey, parseLeaseKey } from "../model/lease_codec.ts";
import { type KeyRange, type KeyValue, type LeaseId, NO_LEASE, prefixRange } from "./etcd3_remote.ts";
import type { Listing, Unreadable } from "./store.ts";

export interface EtcdKeys {
  readonly config: string;
  /** All records. */
  readonly subnets: KeyRange;
}

/** Joins like upstream: empty elements, `.` and `..` are resolved; a missing leading slash stays missing. */
export function etcdKeys(prefix: string): EtcdKeys {
  const base = cleanPath(prefix);
  return { config: joinPath(base, "config"), subnets: prefixRange(joinPath(base, "subnets/")) };
}

function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const out: string[] = [];
  for (const element of path.split("/")) {
    if (element === "" || element === ".") continue;
    if (element !== "..") out.push(element);
    else if (out.length > 0 && out.at(-1) !== "..") out.pop();
    else if (!rooted) out.push(element);
  }
  return (rooted ? "/" : "") + out.join("/");
}

function joinPath(base: string, name: string): string {
  return base === "" || base === "/" ? `${base}${name}` : `${base}/${name}`;
}

export function leaseKey(keys: EtcdKeys, subnets: Subnets): string {
  return keys.subnets.key + formatLeaseKey(subnets);
}

/** The subnets that a key names; null where it is not one of ours to read. */
export function subnetsOf(keys: EtcdKeys, key: string): Subnets | null {
  return parseLeaseKey(key.slice(keys.subnets.key.length));
}

/** All of `kvs`, readable or not; see `readLease`. */
export function readListing(keys: EtcdKeys, kvs: readonly KeyValue[], expires: Instant): Listing {
  const leases: Lease[] = [];
  const unreadable: Unreadable[] = [];
  for (const kv of kvs) {
    const read = readLease(keys, kv, expires);
    if ("reason" in read) unreadable.push(read);
    else leases.push(read);
  }
  return { leases, unreadable };
}

/** What stands at a key: a lease, or why it can't be read. `expires` is for records with an etcd lease. */
export function readLease(keys: EtcdKeys, kv: KeyValue, expires: Instant): Lease | Unreadable {
  const key = kv.key.slice(keys.subnets.key.length);
  const subnets = parseLeaseKey(key);
  if (subnets === null) return { key, subnets, reason: "the key names no subnet" };
  try {
    return {
      subnets,
      record: decodeRecord(kv.value),
      version: formatVersion(kv),
      created: kv.createRevision,
      expires: kv.lease === NO_LEASE ? null : expires,
    };
  } catch (thrown) {
    return { key, subnets, reason: `the value ${messageOf(thrown)}` };
  }
}

/** A version is where the key stood and under which etcd lease: `1042/7587862094876521`. */
export function formatVersion(kv: Pick<KeyValue, "modRevision" | "lease">): Version {
  return `${kv.modRevision}/${kv.lease}`;
}

export function parseVersion(version: Version): { readonly modRevision: number; readonly lease: LeaseId } {
  const [modRevision = "", lease = NO_LEASE] = version.split("/");
  return { modRevision: Number(modRevision), lease };
}
