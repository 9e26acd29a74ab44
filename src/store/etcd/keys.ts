/**
 * Where things stand in etcd, letter for letter as upstream has them:
 *
 *     <prefix>/config                     the network configuration, written by the operator
 *     <prefix>/subnets/10.1.15.0-24       a host's record; where nothing ends it, it is a reservation
 *
 * and beside them, in v3, what is ours alone:
 *
 *     <prefix>/subnet6/fd00:1:15::-64     the record of a host with IPv6 alone, which upstream has no key for
 *     <prefix>/bridge                     who mirrors between the two APIs
 *
 * Upstream reads and watches all that begins with `<prefix>/subnets`, without a slash, and loses every peer over one key there
 * that it can't read: so what is ours must not begin like that. `subnet6/` comes right before `subnets/` in etcd's order, so
 * that one range, and one watch, has both and next to nothing else; what stands in between is nobody's business here.
 */
import type { Instant } from "../../model/clock.ts";
import { Failure, messageOf } from "../../model/errors.ts";
import { describeSubnets, type Lease, type Subnets, type Version } from "../../model/lease.ts";
import { decodeRecord, formatLeaseKey, parseAnyLeaseKey, parseLeaseKey } from "../../model/lease_codec.ts";
import { type KeyRange, prefixRange } from "./reader.ts";
import { hostOf } from "../host_name.ts";
import type { Listing, Lost, Unreadable } from "../store.ts";

export interface EtcdKeys {
  readonly config: string;
  /** Records with an IPv4 subnet. */
  readonly subnets: KeyRange;
  /** Records of IPv6 alone; null where there is no place for them. */
  readonly subnet6: KeyRange | null;
  /** All records, and what may stand between the two. */
  readonly records: KeyRange;
}

/** Joins like upstream: empty elements, `.` and `..` are resolved; a missing leading slash stays missing. */
export function etcdKeys(prefix: string): EtcdKeys {
  const base = cleanPath(prefix);
  const subnets = prefixRange(joinPath(base, "subnets/"));
  const subnet6 = prefixRange(joinPath(base, "subnet6/"));
  return { config: joinPath(base, "config"), subnets, subnet6, records: { ...subnet6, end: subnets.end } };
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

/** @throws Failure where there is no place for such a record */
export function leaseKey({ subnets: { key }, subnet6 }: EtcdKeys, subnets: Subnets): string {
  if (subnets.v4 !== null) return key + formatLeaseKey(subnets);
  if (subnet6 !== null) return subnet6.key + formatLeaseKey(subnets);
  throw new Failure(`take ${describeSubnets(subnets)}: ${NO_IPV6_ALONE}`);
}

/** Why etcd's v2 API has no place for such records: whoever else uses it needs IPv4. */
export const NO_IPV6_ALONE = "IPv6 alone is not possible in etcd's v2 API; use --etcd-api=v3 " +
  "(flanneld migrate --from=v2 --to=v3 copies the configuration), or enable IPv4 too";

/** What a key is to readers of records. */
export interface RecordKey {
  /** Below `subnets/`, or of IPv6 alone below `subnet6/`; for all else with the directory. */
  readonly name: string;
  /** Null where it names none, or not where it should. */
  readonly subnets: Subnets | null;
  /** Of IPv6 alone among the others: an earlier release of ours wrote it there, or upstream in its own way. */
  readonly misplaced?: Subnets;
}

/** Null for a key that stands between the records. */
export function readKey({ subnets, subnet6 }: EtcdKeys, key: string): RecordKey | null {
  if (subnet6 !== null && key.startsWith(subnet6.key)) {
    const name = key.slice(subnet6.key.length);
    const six = ipv6Alone(name);
    return six === null ? { name: `subnet6/${name}`, subnets: null } : { name, subnets: six };
  }
  if (!key.startsWith(subnets.key)) return null;
  const name = key.slice(subnets.key.length);
  const misplaced = ipv6Alone(name.replace(/^0\.0\.0\.0-0&/, ""));
  return misplaced === null
    ? { name, subnets: parseLeaseKey(name) }
    : { name: `subnets/${name}`, subnets: null, misplaced };
}

/** The key of a misplaced record, by its name. */
export function misplacedKey({ subnets }: EtcdKeys, name: string): string {
  return subnets.key + name.replace(/^subnets\//, "");
}

function ipv6Alone(name: string): Subnets | null {
  const subnets = parseAnyLeaseKey(name);
  return subnets?.v4 === null ? subnets : null;
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

/** All of `stored` that are records, readable or not; see `readLease`. */
export function readListing(keys: EtcdKeys, stored: readonly Stored[]): Listing {
  const leases: Lease[] = [];
  const unreadable: Unreadable[] = [];
  for (const each of stored) {
    const read = readLease(keys, each);
    if (read === null) continue;
    if ("reason" in read) unreadable.push(read);
    else leases.push(read);
  }
  return { leases, unreadable };
}

/** What stands at a key: a lease, or why it can't be read; null where it is no record's place. */
export function readLease(keys: EtcdKeys, stored: Stored): Lease | Unreadable | null {
  const place = readKey(keys, stored.key);
  if (place === null) return null;
  const { name: key, subnets } = place;
  if (subnets === null) return { key, subnets, ...explained(place, stored) };
  if (stored.value === null) return { key, subnets, reason: "the key is a directory" };
  try {
    return toLease(subnets, stored, stored.value);
  } catch (thrown) {
    return { key, subnets, reason: `the value ${messageOf(thrown)}` };
  }
}

/** @throws Failure with the bare reason */
function toLease(subnets: Subnets, stored: Stored, value: string): Lease {
  const { version, createRevision: created, expires } = stored;
  return { subnets, record: decodeRecord(value), version, created, expires };
}

function explained({ misplaced }: RecordKey, stored: Stored): Pick<Unreadable, "reason" | "misplaced"> {
  if (misplaced === undefined) return { reason: "the key names no subnet" };
  const reason = "IPv6 alone has its place in subnet6/, flannel loses all peers over such a key here";
  try {
    const lease = toLease(misplaced, stored, stored.value ?? "");
    const cure = `start ${hostOf(lease.record)} with this release, or remove the key`;
    return { reason: `${reason}; ${cure}`, misplaced: lease };
  } catch {
    return { reason: `${reason}; remove the key` };
  }
}

/** What a write found instead of what it expected. */
export function lostTo(keys: EtcdKeys, stored: Stored | null): Lost {
  if (stored === null) return { lost: "absent" };
  const read = readLease(keys, stored);
  return { lost: "taken", ...(read !== null && !("reason" in read) && { by: read.record }) };
}
