/**
 * What a holder knows of its own record: the mark as it was written last, whether contact was lost since it was found in order,
 * whether a write has no reply yet, how long a trial has lasted. `model/identity.ts` judges by it. No I/O.
 *
 * A trial counts unbroken contact: an interruption of the store's watch begins it anew.
 */
import type { Instant } from "../model/clock.ts";
import type { Found, Holder, Mark } from "../model/identity.ts";
import { conflicting } from "../model/allocate.ts";
import { type Lease, type LeaseRecord, sameSubnets } from "../model/lease.ts";
import { sameRecord } from "../model/lease_codec.ts";
import { isOlder } from "../store/etcd/both/lease.ts";
import { sameAddress, sameHost, sameTunnelAddress } from "../store/choice.ts";
import type { Look } from "../store/store.ts";

/** How long a host on trial waits for an objection: longer than it takes the owner to hear of it and to answer. */
export const TRIAL_MS = 15_000;

export class Holding {
  #mark: Mark;
  #nextHost: string | null = null;
  #outstanding = false;
  #contactLost = false;
  /** Interruptions of contact so far: what is found by a look that began before the last one proves nothing. */
  #breaks = 0;
  #trialSince: Instant | null = null;

  constructor(mark: Mark, now: Instant) {
    this.#mark = mark;
    if (mark.after !== null) this.#trialSince = now;
  }

  get mark(): Mark {
    return this.#mark;
  }

  get onTrial(): boolean {
    return this.#mark.after !== null;
  }

  get breaks(): number {
    return this.#breaks;
  }

  /** When the trial is over; null where there is none, or contact is lost. */
  get provenAt(): Instant | null {
    return this.#trialSince === null ? null : this.#trialSince + TRIAL_MS;
  }

  /** The store's watch was interrupted, or the store restored. */
  contactBroken(): void {
    this.#breaks++;
    this.#contactLost = true;
    this.#trialSince = null;
  }

  holder(now: Instant): Holder {
    return {
      mark: this.#mark,
      nextHost: this.#nextHost,
      contactLost: this.#contactLost,
      outstanding: this.#outstanding,
      proven: this.provenAt !== null && now >= this.provenAt,
    };
  }

  /** Found in order by a look that began after so many interruptions. */
  inOrder(breaks: number, now: Instant): void {
    if (breaks !== this.#breaks) return;
    this.#contactLost = false;
    if (this.onTrial) this.#trialSince ??= now;
  }

  /** About to write with this mark. */
  writing({ host, run, turn }: Mark): void {
    if (host !== this.#mark.host) this.#nextHost = host;
    this.#mark = { ...this.#mark, run, turn };
    this.#outstanding = true;
  }

  /** The write was answered: what stands is known, or that ours does not. */
  answered(): void {
    this.#outstanding = false;
  }

  /** Our record is known to stand with this mark. */
  stands(mark: Mark, breaks: number, now: Instant): void {
    this.#mark = mark;
    this.#nextHost = null;
    this.#outstanding = false;
    this.#trialSince = null;
    this.inOrder(breaks, now);
  }
}

/** Older records elsewhere that concern ours. */
export type Elders = Pick<Found, "elderTwin" | "elderOverlap">;

/** A look in the words of the rules; null where nothing stands there. @param content what our record should say, but the mark */
export function foundBy({ found, asWritten }: Look, content: LeaseRecord, elders: Elders): Found | null {
  if (found === null) return null;
  if ("reason" in found) {
    return {
      mark: null,
      atOurAddress: false,
      wasOurs: false,
      asWritten: false,
      upToDate: false,
      elderTwin: false,
      elderOverlap: false,
    };
  }
  return {
    mark: found.record.mark ?? null,
    atOurAddress: sameAddress(found.record, content),
    wasOurs: sameTunnelAddress(found.record, content),
    asWritten,
    upToDate: sameContent(found.record, content),
    ...elders,
  };
}

/** True where two records say the same, whoever wrote them. */
export function sameContent(a: LeaseRecord, b: LeaseRecord): boolean {
  return sameRecord(unmarked(a), unmarked(b));
}

export function unmarked({ mark: _, ...record }: LeaseRecord): LeaseRecord {
  return record;
}

/** True where another record with this id is older than ours. */
export function hasElderTwin(leases: readonly Lease[], own: Lease, host: string): boolean {
  return leases.some((lease) => lease.record.mark?.host === host && isOlder(lease, own));
}

/**
 * Another host's older record at another key that has part of our subnets: `10.1.4.0/23` beside `10.1.5.0/24`. What its host has
 * left behind for a younger one counts nothing.
 */
export function elderOverlap(leases: readonly Lease[], own: Lease): Lease | undefined {
  return leases.find((lease) => isElderOverlap(lease, own) && !isLeftBehind(lease, leases, own));
}

export function isElderOverlap(lease: Lease, own: Lease): boolean {
  return !sameSubnets(lease.subnets, own.subnets) && conflicting(lease.subnets, own.subnets) &&
    isOlder(lease, own) && !sameHost(lease.record, own.record);
}

/** What our own record was until now may have had that id, if it was one with ours. */
function isLeftBehind({ record: { mark }, created }: Lease, leases: readonly Lease[], own: Lease): boolean {
  return mark !== undefined &&
    leases.some((other) =>
      other.record.mark?.host === mark.host && other.created > created &&
      !sameSubnets(other.subnets, own.subnets)
    );
}
