/**
 * The rounds of the network: at the cost of what has changed, of the store's leases or of what the kernel has told of single objects
 * (`plan/rolling.ts`). Everything is read back at the start, once a minute, after a failure, and where what was told does not
 * say how things are: events were lost, a device has changed, another state of this host judges otherwise.
 *
 * A device that was made is read back at once, because others (udev) may have a hand in it.
 */
import { later } from "../async/later.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../model/clock.ts";
import type { Owner } from "../model/owner.ts";
import { networkAlone, type Told } from "../model/plan.ts";
import type { Prefix } from "../model/prefix.ts";
import { Rolling, type RollingInput, type RollingPlan, type WantedObjects } from "../plan/rolling.ts";
import type { Losses } from "../plan/shrink.ts";
import type { PeerNames } from "./round_peers.ts";
import type { Asked } from "./round_report.ts";
import { type Round, touchedDevices } from "./rounds.ts";
import { SECOND_LOOK_MS, ShrinkGuard } from "./shrink_guard.ts";

/** Everything that a round of the network needs to know, as of its start. */
export interface WantedNetwork {
  readonly objects: WantedObjects;
  readonly names: PeerNames;
  readonly owner: Owner;
  /** True once the store's whole snapshot was seen: only then is anything deleted. */
  readonly inSync: boolean;
  /** Subnets whose objects must not be deleted (unreadable records). */
  readonly protectedSubnets: readonly Prefix[];
}

export interface NetworkPorts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  wanted(): Promise<WantedNetwork>;
  /** What the network's underlay depends on may have changed. */
  underlayChanged(): void;
  /** Lists the store a second time; true where it agrees with what we know. What it says otherwise is taken in. */
  secondLook(signal: AbortSignal): Promise<boolean>;
  /** After each round. */
  finished(round: Round, asked: Asked): void;
  /** Asks for another round. @param reads everything has to be read for it */
  again(reads: boolean): void;
}

/** Rounds in a row for devices that need another look, and readings in a row while events get lost. */
const MOST_REPEATS = 3;

export class NetworkRounds {
  readonly #ports: NetworkPorts;
  readonly #guard = new ShrinkGuard();
  #looking = false;
  #rolling: Rolling | null = null;
  /** By whom what was told was judged; null where something is missing of it. */
  #owner: Owner | null = null;
  #missed = 0;

  constructor(ports: NetworkPorts) {
    this.#ports = ports;
  }

  /** Objects that stood otherwise than the kernel had told, as whole readings have found. */
  get missed(): number {
    return this.#missed;
  }

  /**
   * One look at the network, repeated while devices were made.
   *
   * @param reads everything is read back; `counts`: what is found otherwise was missed
   * @throws where the kernel or the underlay can't be read: nothing is known then, so nothing is done
   */
  async look({ reads, counts }: { reads: boolean; counts: boolean }, signal: AbortSignal): Promise<Round> {
    let round = await this.#tryRound(reads, counts);
    for (let i = 1; i < MOST_REPEATS && touchedDevices(round); i++) round = await this.#tryRound(true, false);
    const due = this.#guard.dueIn(this.#ports.clock.boot());
    if (due !== null) this.#lookAgain(due, signal);
    return round;
  }

  async #tryRound(reads: boolean, counts: boolean): Promise<Round> {
    try {
      return await this.#round(reads, counts);
    } catch (error) {
      // What was told by then is in nobody's hands.
      this.#owner = null;
      throw error;
    }
  }

  async #round(reads: boolean, counts: boolean): Promise<Round> {
    const { clock, kernel, finished } = this.#ports;
    const told = this.#owner === null ? null : await this.#told(this.#owner);
    const wanted = await this.#ports.wanted();
    const rolling = this.#rolling ??= new Rolling(wanted.owner.instance, kernel);
    const light = !reads && told !== null && wanted.owner === this.#owner;
    let planned = (light ? rolling.change(inputOf(wanted), told) : null) ??
      await this.#readAll(rolling, wanted, told, counts);
    this.#owner = wanted.owner;
    const losses = this.#losses(rolling, planned);
    const holds = this.#guard.holds(losses, clock.boot());
    if (holds) planned = rolling.withoutDeletions(planned);
    const { operations } = planned.plan;
    const outcomes = operations.length === 0 ? [] : await kernel.apply(operations);
    const failed = outcomes.filter((outcome) => outcome.error !== null);
    if (!holds && failed.length === 0) this.#guard.gone(losses, clock.boot());
    rolling.settled(planned, failed);
    const { inSync, names } = wanted;
    const round = { scope: networkAlone, inSync, plan: planned.plan, failed: rolling.failed };
    finished(round, { failed, names, before: planned.before, userOf: (id) => rolling.userOf(id) });
    return round;
  }

  /** How many peers the plan takes away; exactly, where that matters. */
  #losses(rolling: Rolling, planned: RollingPlan): Losses {
    const rough = rolling.losses(planned, false);
    return this.#guard.shrinks(rough, this.#ports.clock.boot()) ? rolling.losses(planned, true) : rough;
  }

  /** @param before what was told before the reading; null where that is not known */
  async #readAll(
    rolling: Rolling,
    wanted: WantedNetwork,
    before: readonly Told[] | null,
    counts: boolean,
  ): Promise<RollingPlan> {
    const { owner } = wanted;
    // Another owner judges otherwise what was told.
    let told = owner === this.#owner ? before : null;
    for (let i = 1;; i++) {
      const more = await this.#told(owner);
      told = told !== null && more !== null ? [...told, ...more] : null;
      const observed = await this.#ports.kernel.read(owner, networkAlone);
      const during = await this.#told(owner);
      if (during === null && i < MOST_REPEATS) {
        told = null;
        continue;
      }
      const plan = rolling.whole(inputOf(wanted), observed, told, during);
      if (counts) this.#missed += plan.missed;
      // What was told and lost may be anything.
      if (!plan.complete) this.#ports.again(true);
      return plan;
    }
  }

  async #told(owner: Owner): Promise<readonly Told[] | null> {
    const { told, underlay } = await this.#ports.kernel.changes(owner);
    if (underlay) this.#ports.underlayChanged();
    return told;
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
      this.#ports.again(false);
    });
  }
}

function inputOf({ objects, inSync, protectedSubnets }: WantedNetwork): RollingInput {
  return { wanted: objects, deletes: inSync, protectedSubnets };
}
