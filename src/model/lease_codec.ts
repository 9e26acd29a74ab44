/**
 * The text forms of a lease: the store's key and the store's value, byte for byte as upstream writes them (spec §3.1).
 *
 * Whatever is read is untrusted: bounded, checked member by member, and never more than a `Failure` or a null where it is
 * malformed. Reading is strict about keys (the one canonical spelling, so that key and subnets name each other one to
 * one) and lenient about values (any order and case of members, unknown ones are kept).
 */
import { Failure } from "./errors.ts";
import { parseJson } from "./hostile.ts";
import { isMarkMember, markMembers, readMark } from "./identity.ts";
import { bits, type Family, formatIp, type Ip, isUnspecified, parseIp } from "./ip.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import type { LeaseRecord, Subnets } from "./lease.ts";
import { type Prefix, prefix } from "./prefix.ts";
import { shownJson } from "./shown.ts";

/** No host record is longer; etcd's own limit is 1.5 MiB. */
export const RECORD_BOUNDS = { length: 65_536, depth: 32 } as const;

/** `255.255.255.255-31&` and 39 characters of v6 with its length. */
const LONGEST_KEY = 64;

/**
 * The last element of a record's key: `10.1.15.0-24`, or `10.12.13.0-24&fd00:12:13::-56` with both families.
 * With v6 alone `fd00:12:13::-56`: that form is ours, upstream has none, and stores shared with upstream refuse it.
 */
export function formatLeaseKey(subnets: Subnets): string {
  return [subnets.v4, subnets.v6].flatMap((subnet) => subnet === null ? [] : formatPart(subnet)).join("&");
}

/**
 * The subnets that a key's last element names, in the forms that upstream knows. Null for anything else: a path, host
 * bits, leading zeros, upper case, lengths that no host's subnet has (0, 32, 128).
 */
export function parseLeaseKey(key: string): Subnets | null {
  const subnets = parseAnyLeaseKey(key);
  return subnets === null || subnets.v4 === null ? null : subnets;
}

/** Like `parseLeaseKey`, and v6 alone as well: for stores that upstream does not read. */
export function parseAnyLeaseKey(key: string): Subnets | null {
  if (key.length > LONGEST_KEY) return null;
  const parts = key.split("&").map(parsePart);
  const subnets = {
    v4: parts.find((part) => part?.ip.family === 4) ?? null,
    v6: parts.find((part) => part?.ip.family === 6) ?? null,
  };
  const named = subnets.v4 !== null || subnets.v6 !== null;
  return named && formatLeaseKey(subnets) === key ? subnets : null;
}

function formatPart(subnet: Prefix): string {
  return `${formatIp(subnet.ip)}-${subnet.length}`;
}

function parsePart(text: string): Prefix | null {
  const match = /^([\d.]+|[\da-f:]+)-(\d{1,3})$/.exec(text);
  const address = match?.[1] === undefined ? null : parseIp(match[1]);
  const length = Number(match?.[2]);
  return address !== null && length >= 1 && length < bits(address.family) ? prefix(address, length) : null;
}

/** What upstream's releases write: those before IPv6 (up to 0.14, in etcd's v2 API) know no `PublicIPv6`. */
export type RecordForm = "current" | "before IPv6";

/**
 * The value of a record: members in upstream's order, compact, escaped as Go does; the mark and unknown members after them.
 * `{"PublicIP":"192.168.64.3","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"…"}}`;
 * the old form leaves `PublicIPv6` out where it is null. Both read back as the same record.
 */
export function encodeRecord(record: LeaseRecord, form: RecordForm = "current"): string {
  const members: Record<string, Json> = {
    PublicIP: record.publicIp === null ? "0.0.0.0" : formatIp(record.publicIp),
  };
  if (record.publicIpv6 !== null) members.PublicIPv6 = formatIp(record.publicIpv6);
  else if (form === "current") members.PublicIPv6 = null;
  if (record.backendType !== "") members.BackendType = record.backendType;
  if (record.backendData !== undefined) members.BackendData = record.backendData;
  if (record.backendV6Data !== undefined) members.BackendV6Data = record.backendV6Data;
  if (record.mark !== undefined) Object.assign(members, markMembers(record.mark));
  return escapeLikeGo(JSON.stringify({ ...members, ...unknownMembers(record.extra ?? {}) }));
}

/** Go's encoder writes these as escapes so that JSON can stand in HTML; they occur inside strings only. */
function escapeLikeGo(json: string): string {
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** True where two records say the same, member for member. */
export function sameRecord(a: LeaseRecord, b: LeaseRecord): boolean {
  return encodeRecord(a) === encodeRecord(b);
}

/**
 * Reads a record's value. A missing `PublicIP` reads as none, `null` makes the record unreadable (as upstream has it).
 *
 * @throws Failure with the bare reason
 */
export function decodeRecord(text: string): LeaseRecord {
  const value = parseJson(text, RECORD_BOUNDS);
  if (!isJsonObject(value)) throw new Failure("is not a JSON object");
  const known = knownMembers(value);
  if (known.PublicIP === null) throw new Failure("PublicIP is null");
  const backendData = known.BackendData ?? undefined;
  const backendV6Data = known.BackendV6Data ?? undefined;
  const extra = unknownMembers(value);
  const mark = readMark(value);
  return {
    publicIp: readIp(known, "PublicIP", 4),
    publicIpv6: readIp(known, "PublicIPv6", 6),
    backendType: readType(known),
    ...(backendData === undefined ? {} : { backendData }),
    ...(backendV6Data === undefined ? {} : { backendV6Data }),
    ...(mark === null ? {} : { mark }),
    ...(extra === null ? {} : { extra }),
  };
}

type Name = "PublicIP" | "PublicIPv6" | "BackendType" | "BackendData" | "BackendV6Data";
type Known = { readonly [name in Name]?: Json };

/** In any spelling that Go takes for it. */
function nameOf(key: string): Name | undefined {
  return NAMES.get(key) ?? NAMES.get(key.toLowerCase());
}

const NAMES: ReadonlyMap<string, Name> = new Map(
  (["PublicIP", "PublicIPv6", "BackendType", "BackendData", "BackendV6Data"] as const)
    .flatMap((name) => [[name, name], [name.toLowerCase(), name]]),
);

/** Names match case-insensitively, the last wins. */
function knownMembers(object: JsonObject): Known {
  const out: { [name in Name]?: Json } = {};
  for (const key of Object.keys(object)) {
    const name = nameOf(key);
    if (name !== undefined) out[name] = object[key]!;
  }
  return out;
}

function readIp(record: Known, name: "PublicIP" | "PublicIPv6", family: Family): Ip | null {
  const text = record[name] ?? null;
  if (text === null) return null;
  const address = typeof text === "string" ? parseIp(text) : null;
  if (address === null || address.family !== family) {
    throw new Failure(`${name} ${quoted(text)} is not an IPv${family} address`);
  }
  return isUnspecified(address) ? null : address;
}

function readType(record: Known): string {
  const type = record.BackendType ?? "";
  if (typeof type !== "string") throw new Failure(`BackendType ${quoted(type)} is not a string`);
  return type.toLowerCase();
}

/** Names whose copy by assignment would reach an object's prototype. */
const UNSAFE = new Set(["__proto__", "constructor", "prototype"]);

/** Null where there are none. */
function unknownMembers(object: JsonObject): Record<string, Json> | null {
  let out: Record<string, Json> | null = null;
  for (const key of Object.keys(object)) {
    const value = object[key];
    const known = nameOf(key) !== undefined || isMarkMember(key) || UNSAFE.has(key);
    if (value !== undefined && !known) (out ??= {})[key] = value;
  }
  return out;
}

function quoted(value: Json): string {
  return typeof value === "string" ? shownJson(value) : typeof value;
}
