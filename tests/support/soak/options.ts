/** What a soak is told: how big, how long, how rough. */
import type { Api } from "./gateway.ts";

export interface SoakOptions {
  readonly hosts: number;
  /** Further leases, of hosts that are not there. */
  readonly leases: number;
  /** Changes of those leases, a second. */
  readonly rate: number;
  /** How long faults go on; the start and the end come on top. */
  readonly seconds: number;
  /** Between two faults, in seconds, in the mean. */
  readonly every: number;
  /** Of the faults and of the changes. */
  readonly seed: number;
  /** Between two samples of all hosts, in seconds. */
  readonly sample: number;
  /** Of etcd, for the daemons and the further leases. */
  readonly api: Api;
  /** A file for the samples, one JSON value a line; or null. */
  readonly json: string | null;
}

/** Often enough that also a short run has samples to judge by, and never more than 10 s apart. */
export function samplePeriod(seconds: number): number {
  return Math.min(10, Math.max(1, Math.round(seconds / 36)));
}
