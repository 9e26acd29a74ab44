/**
 * Mirroring between etcd's two APIs, for hosts that know one of them only: `mirror_plan.ts` says what is to be done, here it is
 * done, by the one host that was elected.
 *
 * - A mirror ends when its origin does: it gets the time that the origin has left, and where that was renewed without a write
 *   that a watch could tell (an etcd lease kept alive), it is found out when half of the mirror's time is over.
 * - Mirrors of reservations get a day at a time, so that none outlives the bridge by more.
 * - Every write is conditional, so that two who mirror at once do no harm.
 * - Nothing is mirrored while the two configurations contradict each other.
 */
import type { Clock, Instant } from "../../../model/clock.ts";
import { messageOf } from "../../../model/errors.ts";
import { describeSubnets, type Lease } from "../../../model/lease.ts";
import { formatLeaseKey, sameRecord } from "../../../model/lease_codec.ts";
import { abortable } from "../../../async/abortable.ts";
import { Lasting } from "../../../observe/lasting.ts";
import type { Log } from "../../../observe/log.ts";
import type { Entries } from "./view.ts";
import type { SideName } from "../side.ts";
import { hostOf } from "../../host_name.ts";
import { type CopyTable, LEASE_TTL_MS } from "../../lease_table.ts";
import { asMirror } from "./mirror.ts";
import { type MirrorStep, planMirrors } from "./mirror_plan.ts";
import { isLost } from "../../store.ts";
import { Trigger } from "../../../async/trigger.ts";

export interface BridgeOptions {
  readonly tables: Readonly<Record<SideName, CopyTable>>;
  /** What stands in both; null while that is not known. */
  entries(): Readonly<Record<SideName, Entries>> | null;
  /** Why nothing may be mirrored; nothing where all is well. Rejects where that can't be read. */
  objections(): Promise<readonly string[]>;
  readonly clock: Clock;
  readonly log?: Log | undefined;
}

/** What is known of a mirror that is right. */
interface Followed {
  readonly originVersion: string;
  readonly ends: Instant;
  /** When the origin is asked for its end again. */
  readonly due: Instant;
}

/** Milliseconds: ends that differ by less are the same. */
const SAME_END_MS = 2_500;
/** Milliseconds that an origin must have left to be mirrored. */
const SHORTEST_MS = 3_000;
/** Milliseconds between two looks when nothing changes, and after something failed. */
const LOOK_MS = 5_000;
const RETRY_MS = 1_000;
/** Steps under way at a time. */
const AT_ONCE = 16;

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #trigger = new Trigger();
  /** By where the mirror is, and its key. */
  readonly #followed = new Map<string, Followed>();
  #objected: { readonly list: readonly string[]; readonly until: Instant } = { list: [], until: -Infinity };
  readonly #trouble: Lasting;

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#trouble = new Lasting(options.log, options.clock);
  }

  /** Something may have changed. */
  wake(): void {
    this.#trigger.ring();
  }

  /** Mirrors until aborted; never throws. */
  async serve(elected: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    log?.info("this host mirrors records between etcd's v2 and v3 API");
    this.#followed.clear();
    this.#objected = { list: [], until: -Infinity };
    while (!elected.aborted) {
      const done = await abortable(this.#round(elected), elected).catch(() => true);
      await this.#trigger.waitFor(done ? this.#untilDue() : RETRY_MS, clock, elected);
    }
  }

  /** Milliseconds until an origin has to be asked for its end, or until the next look. */
  #untilDue(): number {
    const next = this.#followed.values().reduce((due, each) => Math.min(due, each.due), Infinity);
    return Math.min(LOOK_MS, Math.max(RETRY_MS, next - this.#options.clock.boot()));
  }

  /** As of the last few seconds: changes of records come by the thousand. */
  async #objections(): Promise<readonly string[]> {
    const now = this.#options.clock.boot();
    if (now >= this.#objected.until) {
      this.#objected = { list: await this.#options.objections(), until: now + LOOK_MS };
    }
    return this.#objected.list;
  }

  /** False where something has to be tried again. */
  async #round(elected: AbortSignal): Promise<boolean> {
    const entries = this.#options.entries();
    if (entries === null) return true;
    try {
      const objections = await this.#objections();
      if (objections.length > 0) return this.#say(`nothing is mirrored: ${objections.join(", ")}`, true);
      const steps = planMirrors(entries);
      for (let i = 0; i < steps.length && !elected.aborted; i += AT_ONCE) {
        await Promise.all(steps.slice(i, i + AT_ONCE).map((step) => this.#take(step)));
      }
      return this.#say("", true);
    } catch (thrown) {
      return this.#say(`mirror records between v2 and v3: ${messageOf(thrown)}`, false);
    }
  }

  /** Each trouble once while it lasts. */
  #say(trouble: string, result: boolean): boolean {
    if (trouble !== "") this.#trouble.is(trouble, trouble);
    else this.#trouble.over("mirroring goes on");
    return result;
  }

  #take(step: MirrorStep): Promise<void> {
    switch (step.type) {
      case "create":
        return this.#create(step.to, step.origin);
      case "follow":
        return this.#follow(step.to, step.origin, step.mirror);
      case "remove":
        return this.#remove(step.at, step.mirror);
    }
  }

  async #create(to: SideName, origin: Lease): Promise<void> {
    const ends = await this.#endOf(to, origin);
    if (ends - this.#options.clock.boot() < SHORTEST_MS) return;
    const record = asMirror(origin.record, from(to));
    const mirror = await this.#options.tables[to].createUntil(origin.subnets, record, ends);
    if (mirror === null) return;
    this.#note(to, origin, ends);
    this.#options.log?.info(`mirrored ${nameOf(origin)} from ${from(to)} to ${to}`, {
      subnet: describeSubnets(origin.subnets),
      from: from(to),
      to,
    });
  }

  async #follow(to: SideName, origin: Lease, mirror: Lease): Promise<void> {
    const { clock, tables } = this.#options;
    const known = this.#followed.get(placeOf(to, origin));
    const wanted = asMirror(origin.record, from(to));
    const same = sameRecord(wanted, mirror.record);
    if (same && known?.originVersion === origin.version && clock.boot() < known.due) return;
    const ends = await this.#endOf(to, origin);
    if (ends - clock.boot() < SHORTEST_MS) return;
    const there = known?.ends ?? await tables[to].endOf(mirror) ?? Infinity;
    if (same && Math.abs(ends - there) <= SAME_END_MS) return this.#note(to, origin, there);
    if (!isLost(await tables[to].updateUntil(mirror, wanted, ends))) this.#note(to, origin, ends);
  }

  async #remove(at: SideName, mirror: Lease): Promise<void> {
    this.#followed.delete(placeOf(at, mirror));
    await this.#options.tables[at].remove(mirror);
    this.#options.log?.info(`removed the mirror of ${nameOf(mirror)} from ${at}: its origin is gone`, {
      subnet: describeSubnets(mirror.subnets),
      api: at,
    });
  }

  async #endOf(to: SideName, origin: Lease): Promise<Instant> {
    const end = await this.#options.tables[from(to)].endOf(origin);
    return end ?? this.#options.clock.boot() + LEASE_TTL_MS;
  }

  #note(to: SideName, origin: Lease, ends: Instant): void {
    const now = this.#options.clock.boot();
    const due = now + Math.max(RETRY_MS, (ends - now) / 2);
    this.#followed.set(placeOf(to, origin), { originVersion: origin.version, ends, due });
  }
}

function from(to: SideName): SideName {
  return to === "v2" ? "v3" : "v2";
}

function placeOf(side: SideName, { subnets }: Lease): string {
  return `${side} ${formatLeaseKey(subnets)}`;
}

function nameOf({ subnets, record }: Lease): string {
  return `${describeSubnets(subnets)} of ${hostOf(record)}`;
}
