/**
 * Where things stand in etcd, letter for letter as upstream has them:
 *
 *     <prefix>/config                     the network configuration, written by the operator
 *     <prefix>/subnets/10.1.15.0-24       a host's record; where nothing ends it, it is a reservation
 *
 *     <prefix>/bridge                     in v3: who mirrors between the two APIs; ours alone
 *
 * Keys beside `subnets/` are nobody's business here, whatever their names begin with.
 */
import type { Instant } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Lease, Subnets, Version } from "../model/lease.ts";
import { decodeRecord, formatLeaseKey, parseLeaseKey } from "../model/lease_codec.ts";
import { type KeyRange, prefixRange } from "./etcd_remote.ts";
import type { Listing, Lost, Unreadable } from "./store.ts";

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

/** In v3, beside what upstream reads: who mirrors between the two APIs. */
export function electionKey(prefix: string): string {
  return joinPath(cleanPath(prefix), "bridge");
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

/** A key with its value, whichever API tells it. */
export interface Stored {
  readonly key: string;
  /** Null where no value stands there but a directory. */
  readonly value: string | null;
  readonly createRevision: number;
  readonly version: Version;
  readonly expires: Instant | null;
}

/** All of `stored`, readable or not; see `readLease`. */
export function readListing(keys: EtcdKeys, stored: readonly Stored[]): Listing {
  const leases: Lease[] = [];
  const unreadable: Unreadable[] = [];
  for (const each of stored) {
    const read = readLease(keys, each);
    if ("reason" in read) unreadable.push(read);
    else leases.push(read);
  }
  return { leases, unreadable };
}

/** What stands at a key: a lease, or why it can't be read. */
export function readLease(keys: EtcdKeys, stored: Stored): Lease | Unreadable {
  const key = stored.key.slice(keys.subnets.key.length);
  const subnets = parseLeaseKey(key);
  if (subnets === null) return { key, subnets, reason: "the key names no subnet" };
  if (stored.value === null) return { key, subnets, reason: "the key is a directory" };
  try {
    const { version, createRevision: created, expires } = stored;
    return { subnets, record: decodeRecord(stored.value), version, created, expires };
  } catch (thrown) {
    return { key, subnets, reason: `the value ${messageOf(thrown)}` };
  }
}

/** What a write found instead of what it expected. */
export function lostTo(keys: EtcdKeys, stored: Stored | null): Lost {
  if (stored === null) return { lost: "absent" };
  const read = readLease(keys, stored);
  return { lost: "taken", ...(!("reason" in read) && { by: read.record }) };
}
