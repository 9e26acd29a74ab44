/** A host as messages name it: by its public address. */
import { formatIp } from "../model/ip.ts";
import type { LeaseRecord } from "../model/lease.ts";

export function hostOf(record: LeaseRecord): string {
  const address = record.publicIp ?? record.publicIpv6;
  return address === null ? "a host without address" : formatIp(address);
}
