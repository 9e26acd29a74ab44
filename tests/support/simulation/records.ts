/** Where simulated records stand in etcd and whose they are, read from their text alone. */
import type { Family } from "../../../src/model/ip.ts";

export const PREFIX = "/coreos.com/network";
/** Records with an IPv4 subnet. */
export const SUBNETS = `${PREFIX}/subnets/`;
/** Records of IPv6 alone. */
export const SUBNET6 = `${PREFIX}/subnet6/`;

export function isRecord(key: string): boolean {
  return key.startsWith(SUBNETS) || key.startsWith(SUBNET6);
}

/** A record's key without the directory: `10.1.7.0-24`. */
export function nameOf(key: string): string {
  return key.slice(key.startsWith(SUBNET6) ? SUBNET6.length : SUBNETS.length);
}

/** The key of a record with this name. */
export function placeOf(name: string): string {
  return (name.includes(".") ? SUBNETS : SUBNET6) + name;
}

/** The families that a record's key names. */
export function familiesIn(key: string): Family[] {
  return nameOf(key).split("&").map((subnet) => subnet.includes(":") ? 6 : 4);
}

/** The public address that a host is known by: IPv4, or IPv6 where it has no other; undefined where there is none. */
export function ownerIn(value: string): string | undefined {
  const ip = /"PublicIP":"([^"]*)"/.exec(value)?.[1];
  return ip === "0.0.0.0" ? /"PublicIPv6":"([^"]*)"/.exec(value)?.[1] : ip;
}

/** The hosts that the record is, or was before a trial. */
export function idsIn(value: string): string[] {
  return [...value.matchAll(/"(?:Host|After)":"([0-9a-f]{32})"/g)].map(([, id]) => id!);
}
