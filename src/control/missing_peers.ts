/**
 * Peers that a restored store lacks. After a restore from backup every host writes its lease again, each as soon as it
 * notices; who is missing from the first list has usually just not come that far, and its traffic must flow on. So it keeps
 * its objects until somebody else has its subnet, its host has another one, or the time in which everybody notices is over.
 */
import type { Instant } from "../model/clock.ts";
import { formatIp } from "../model/ip.ts";
import { describeSubnets, doubtful, type Lease, type LeaseRecord } from "../model/lease.ts";

interface Missing {
  readonly lease: Lease;
  readonly until: Instant;
}

/** A watch that fell silent is found out within ten minutes; one more to write the lease again. */
const KEEP_MS = 11 * 60_000;

export class MissingPeers {
  /** By subnets. */
  readonly #peers = new Map<string, Missing>();
  /** The subnets of a missing host, by its public IP. */
  readonly #hosts = new Map<string, string>();

  get size(): number {
    return this.#peers.size;
  }

  /** @param changed told of each subnet that is missing from now on, or is not any more */
  constructor(private readonly changed: (key: string) => void = () => {}) {}

  get(key: string): Lease | undefined {
    return this.#peers.get(key)?.lease;
  }

  /** Those whose time is not over, in no order. */
  leases(): Lease[] {
    return Array.from(this.#peers.values(), ({ lease }) => lease);
  }

  /** Notes leases that a restored store lacks. */
  keep(leases: Iterable<Lease>, now: Instant): void {
    for (const lease of leases) {
      const until = Math.min(now + KEEP_MS, lease.expires ?? Infinity);
      const key = describeSubnets(lease.subnets);
      this.#peers.set(key, { lease: doubtful(lease), until });
      this.#hosts.set(hostOf(lease.record), key);
      this.changed(key);
    }
  }

  /** Forgets whoever gives way to a lease that is there: the same subnet, or the same host. */
  giveWayTo({ subnets, record }: Lease): void {
    if (this.#peers.size === 0) return;
    this.delete(describeSubnets(subnets));
    this.delete(this.#hosts.get(hostOf(record)) ?? "");
  }

  /** True where these subnets were missing. */
  delete(key: string): boolean {
    const missing = this.#peers.get(key);
    if (missing === undefined) return false;
    this.#hosts.delete(hostOf(missing.lease.record));
    this.changed(key);
    return this.#peers.delete(key);
  }

  /** Forgets those whose time is over. */
  expire(now: Instant): void {
    for (const [key, { until }] of this.#peers) if (until <= now) this.delete(key);
  }
}

function hostOf({ publicIp, publicIpv6 }: LeaseRecord): string {
  const address = publicIp ?? publicIpv6;
  return address === null ? "" : formatIp(address);
}
