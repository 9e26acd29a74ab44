/**
 * The rounds: read back what stands, compare it with what should, apply the difference.
 *
 * A round starts when something asks for one (a lease changed, the kernel told of a change, a period ended, a retry is due)
 * and gathers what else comes within 5 ms. Between rounds there is a pause of 50 ms, or as long as the round took: a lone
 * change is acted on at once, a storm of changes costs few rounds and never more than half of the time. What fails is tried
 * again with back-off and never keeps anything else from being done. A device that was made is read back at once, because others (udev) may have a hand in it.
 */
import type { Owner } from "../model/owner.ts";
import type { Scope } from "../model/plan.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock, Random } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Lease } from "../model/lease.ts";
import { makesDevices, type Obj } from "../model/objects.ts";
import type { Blocked, Observed, Operation, Outcome, Plan } from "../model/plan.ts";
import type { Prefix } from "../model/prefix.ts";
import type { Log } from "../observe/log.ts";
import { Backoff } from "../async/backoff.ts";
import { describeBlocked } from "../plan/describe.ts";
import { packetsNeed } from "../plan/needed.ts";
import { type PlannedRound, planRound } from "../plan/round.ts";
import { later } from "../async/later.ts";
import { RoundReport } from "./round_report.ts";
import { SECOND_LOOK_MS, ShrinkGuard } from "./shrink_guard.ts";
import { Trigger } from "../async/trigger.ts";

/** Everything a round needs to know, as of its start. */
export interface Wanted {
  readonly objects: readonly Obj[];
  /** Those that have objects among these. */
  readonly peers: readonly Lease[];
  readonly owner: Owner;
  /** True once the store's whole snapshot was seen: only then is anything deleted. */
  readonly inSync: boolean;
  /** Subnets whose objects must not be deleted (unreadable records). */
  readonly protectedSubnets: readonly Prefix[];
}

export interface ReconcilerPorts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  wanted(): Promise<Wanted>;
  /** Lists the store a second time; true where it agrees with what we know. What it says otherwise is taken in. */
  secondLook(signal: AbortSignal): Promise<boolean>;
  /** After each round. */
  finished(round: Round): void;
  /** After a round that could not read what stands: why. */
  unread(part: Part, why: string): void;
}

export interface Round {
  readonly scope: Scope;
  readonly inSync: boolean;
  readonly plan: Plan;
  readonly failed: readonly Outcome[];
}

/** Read, planned and applied each by itself: what keeps one from being read must not keep the other from being mended. */
const parts = ["network", "firewall"] as const;
export type Part = (typeof parts)[number];
/** What belongs together comes together: events of one change, leases of one batch. */
const GATHER_MS = 5;
/** The least pause between rounds. */
const PAUSE_MS = 50;
/** The longest pause between rounds: a machine that slept in the middle of one must not pause for as long as it slept. */
const LONGEST_PAUSE_MS = 5_000;
/** Rounds in a row for devices that need another look. */
const MOST_REPEATS = 3;

export class Reconciler {
  readonly #ports: ReconcilerPorts;
  readonly #trigger = new Trigger();
  readonly #guard = new ShrinkGuard();
  readonly #report: RoundReport;
  readonly #asked = new Set<Part>();
  readonly #retrying = new Set<Part>();
  readonly #backoffs: Readonly<Record<Part, Backoff>>;
  #looking = false;

  constructor(ports: ReconcilerPorts) {
    this.#ports = ports;
    this.#report = new RoundReport(ports.log, ports.clock, ports.kernel.rules);
    const backoff = () => new Backoff(1_000, 30_000, ports.random);
    this.#backoffs = { network: backoff(), firewall: backoff() };
  }

  /** Asks for a round over these objects, soon. */
  request(scope: Partial<Scope>): void {
    for (const part of parts) if (scope[part]) this.#asked.add(part);
    this.#trigger.ring();
  }

  /** Runs rounds until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    let next = clock.boot();
    // What starts us is a whole snapshot: nothing that belongs to it is still to come.
    for (let gather = 0; !signal.aborted; gather = GATHER_MS) {
      await this.#trigger.wait(signal);
      const wait = Math.max(gather, next - clock.boot());
      if (wait > 0) await clock.sleep(wait, signal);
      this.#trigger.still();
      const began = clock.boot();
      await this.#settleAll(signal);
      next = clock.boot() + pauseAfter(clock.boot() - began);
    }
  }

  async #settleAll(signal: AbortSignal): Promise<void> {
    const asked = parts.filter((part) => this.#asked.has(part));
    this.#asked.clear();
    for (const part of asked) await this.#settle(part, signal);
  }

  async #settle(part: Part, signal: AbortSignal): Promise<void> {
    const round = await this.#tryRound(part);
    if (round === null || round.failed.length > 0) this.#retryLater(part, signal);
    else this.#backoffs[part].reset();
    const due = this.#guard.dueIn(this.#ports.clock.boot());
    if (due !== null && part === "network") this.#lookAgain(due, signal);
  }

  /** Null where reading itself failed: nothing is known then, so nothing is done. */
  async #tryRound(part: Part): Promise<Round | null> {
    try {
      const round = await this.#round({ network: part === "network", firewall: part === "firewall" });
      this.#report.readable(part);
      return round;
    } catch (error) {
      this.#report.unreadable(part, error);
      this.#ports.unread(part, messageOf(error));
      return null;
    }
  }

  /** One round, repeated while devices were made. */
  async #round(scope: Scope): Promise<Round> {
    let round = await this.#once(scope);
    for (let i = 1; i < MOST_REPEATS && touchedDevices(round); i++) round = await this.#once(scope);
    return round;
  }

  async #once(scope: Scope): Promise<Round> {
    const { kernel, clock } = this.#ports;
    const wanted = await this.#ports.wanted();
    const observed = await kernel.read(wanted.owner, scope);
    const { plan, objects } = this.#plan(wanted, observed, scope, clock.boot());
    const outcomes = plan.operations.length === 0 ? [] : await kernel.apply(plan.operations);
    const failed = outcomes.filter((outcome) => outcome.error !== null);
    const round = { scope, inSync: wanted.inSync, plan, failed };
    this.#report.round(round, { ...wanted, objects });
    this.#ports.finished(round);
    return round;
  }

  #plan(wanted: Wanted, observed: readonly Observed[], scope: Scope, now: number): PlannedRound {
    const { objects, protectedSubnets, inSync, owner: { instance } } = wanted;
    const input = { objects, observed, scope, instance, protectedSubnets };
    const planned = planRound({ ...input, deletes: inSync }, this.#ports.kernel);
    if (!scope.network || !this.#guard.holds(planned.plan, observed, now)) return planned;
    return planRound({ ...input, deletes: false }, this.#ports.kernel);
  }

  /** Looks at the store a second time when the guard says so; one look is under way at a time. */
  #lookAgain(inMs: number, signal: AbortSignal): void {
    if (this.#looking) return;
    this.#looking = true;
    later(this.#ports.clock, inMs, signal, async () => {
      const agrees = await this.#ports.secondLook(signal).catch(() => null);
      this.#looking = false;
      if (agrees === null) return this.#lookAgain(SECOND_LOOK_MS, signal);
      if (agrees) this.#guard.approve();
      else this.#guard.restart();
      this.request({ network: true });
    });
  }

  /** Asks for another round after a failure; one such wait at a time, and it grows. */
  #retryLater(part: Part, signal: AbortSignal): void {
    if (this.#retrying.has(part)) return;
    this.#retrying.add(part);
    later(this.#ports.clock, this.#backoffs[part].next(), signal, () => {
      this.#retrying.delete(part);
      this.request({ [part]: true });
    });
  }
}

/** @param ms how long the round took */
function pauseAfter(ms: number): number {
  return Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, ms));
}

function touchedDevices(round: Round): boolean {
  return !round.failed.some(({ operation }) => packetsNeed(operation)) &&
    round.plan.operations.some((o) => makesDevices(o.object) && o.verb !== "delete");
}

/** What keeps the base from standing: failures and foreign objects in the way of `objects`, in words. */
export function obstacles(round: Round, objects: readonly Obj[]): string[] {
  const ids = new Set(objects.map((o) => `${o.kind} ${o.key}`));
  const concerns = (o: Operation | Blocked) => ids.has(`${o.object.kind} ${o.object.key}`);
  return [
    ...round.failed.filter((f) => concerns(f.operation)).map((f) => f.error!),
    ...round.plan.blocked.filter(concerns).map(describeBlocked),
  ];
}

/** True where something that was to go is still there. */
export function leavesRemains({ plan, failed }: Round): boolean {
  return plan.withheld.length > 0 || failed.some(({ operation }) => operation.verb === "delete");
}
