/**
 * Keeps our lease ours: renews it in time, publishes what we have to say, notices its loss.
 *
 * - A store that is out of reach or refuses us is no loss: everything stays, even past the expiry, and it is tried again
 *   until it answers.
 * - Every write is conditional, so a record that has become another's is never overwritten.
 * - Absent: the same subnet is taken again and the data path stays. Another's: another subnet is taken in this process, or
 *   with `onLost: "exit"` the run ends with a Failure.
 * - What the watch says of our key is only a hint to go and look; the store's own answer decides.
 */
import type { Clock, Instant, Random } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import { Failure, LeaseLost, messageOf } from "../model/errors.ts";
import { describeSubnets, type Lease, type LeaseRecord, sameSubnets, type Subnets } from "../model/lease.ts";
import { encodeRecord } from "../model/lease_codec.ts";
import type { Occupied } from "../model/occupied.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { race } from "../model/race.ts";
import { Lasting } from "../observe/lasting.ts";
import type { Log, LogFields } from "../observe/log.ts";
import { sameHost } from "../store/choice.ts";
import { hostOf } from "../store/host_name.ts";
import { isLost, type Lost, type Store, type StoreEvent, StoreUnavailable } from "../store/store.ts";
import { Backoff } from "./backoff.ts";
import { peerFields } from "./describe.ts";
import { Trigger } from "./trigger.ts";

export interface KeeperOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How long before its end a lease is renewed. */
  readonly marginMs: number;
  readonly onLost: "reacquire" | "exit";
  /** The configuration as it is now: a new subnet is taken from it. */
  config(): NetworkConfig;
  /** What this host has without us, and without what carries `own` for us. */
  occupied(own: Subnets): Promise<readonly Occupied[]>;
  /** Our lease is another one now (other subnets): the host has to move. */
  moved(lease: Lease, from: Lease): void;
}

export class LeaseKeeper {
  readonly #options: KeeperOptions;
  readonly #trigger = new Trigger();
  readonly #backoff: Backoff;
  #lease: Lease;
  #record: LeaseRecord;
  /** Why the lease may no longer be ours; null while it is, as last confirmed. */
  #doubt: string | null = null;
  #lost = false;
  #lostAt: Instant | null = null;
  readonly #trouble: Lasting;

  constructor(lease: Lease, options: KeeperOptions) {
    this.#options = options;
    this.#lease = lease;
    this.#record = lease.record;
    this.#backoff = new Backoff(1_000, 60_000, options.random);
    this.#trouble = new Lasting(options.log, options.clock);
  }

  get lease(): Lease {
    return this.#lease;
  }

  /** False from the moment the store has said that the lease is not ours until we have one again. */
  get held(): boolean {
    return !this.#lost;
  }

  /** What the record should say from now on. */
  publish(record: LeaseRecord): void {
    this.#record = record;
    this.#trigger.ring();
  }

  /** Takes a hint from the store's watch. */
  observe(event: StoreEvent): void {
    const doubt = this.#doubtFrom(event);
    if (doubt === null) return;
    this.#doubt = doubt;
    this.#trigger.ring();
  }

  /** Runs until aborted, or throws LeaseLost where a lost lease ends the run. */
  async run(signal: AbortSignal): Promise<void> {
    this.#announce();
    while (!signal.aborted) {
      const due = this.#dueIn();
      if (due === null || due > 0) await this.#wait(due, signal);
      if (signal.aborted) return;
      await this.#attempt(signal);
    }
  }

  /** One step; a store that is out of reach, refuses us or has no free subnet only delays it. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    try {
      await this.#step(signal);
      this.#trouble.over("the lease can be renewed again", this.#fields());
      this.#backoff.reset();
    } catch (error) {
      const passes = error instanceof StoreUnavailable || error instanceof Failure;
      if (signal.aborted || error instanceof LeaseLost || !passes) throw error;
      const wait = this.#backoff.next();
      const text = messageOf(error);
      const again = `trying again in ${Math.round(wait / 1000)} s, and then less often`;
      this.#trouble.is(text, `Error renewing lease (${again}): ${text}`, { ...this.#fields(), error: text });
      await clock.sleep(wait, signal);
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    if (this.#lost) return await this.#reacquire(signal);
    const { store } = this.#options;
    const now = this.#options.clock.boot();
    const publishing = encodeRecord(this.#record) !== encodeRecord(this.#lease.record);
    const renewing = this.#doubt !== null || (this.#renewAt() ?? Infinity) <= now;
    if (!publishing && !renewing) return;
    const doubt = this.#doubt;
    // What is heard while the store answers is another doubt: the answer may be older.
    this.#doubt = null;
    const asking = publishing
      ? store.publish(this.#lease, this.#record, signal)
      : store.renew(this.#lease, signal);
    const result = await asking.catch((error) => {
      this.#doubt ??= doubt;
      throw error;
    });
    if (isLost(result)) return this.#losing(result);
    this.#lease = result;
    if (publishing) {
      this.#options.log.info(
        `published our record for ${describeSubnets(result.subnets)} anew`,
        this.#fields(),
      );
    } else if (doubt === null) this.#renewed();
  }

  /** Takes note of the loss; the next step acts on it. */
  #losing(lost: Lost): void {
    this.#lost = true;
    this.#lostAt ??= this.#options.clock.boot();
    const subnets = describeSubnets(this.#lease.subnets);
    const owner = lost.by ? hostOf(lost.by) : "another host";
    if (lost.lost === "absent") {
      this.#options.log.warn(
        `our lease ${subnets} is gone from the store; taking the same subnet again`,
        this.#fields(),
      );
    } else if (!lost.by || !sameHost(lost.by, this.#record)) {
      if (this.#options.onLost === "exit") {
        throw new LeaseLost(
          `Lease has been revoked. Shutting down daemon. Keep lease "${subnets}": it belongs to ${owner} now; start again to get another subnet`,
        );
      }
      this.#options.log.error(`our lease ${subnets} belongs to ${owner} now; taking another subnet`, {
        ...this.#fields(),
        owner,
      });
    }
  }

  async #reacquire(signal: AbortSignal): Promise<void> {
    const from = this.#lease;
    const occupied = await this.#options.occupied(from.subnets).catch((error) => {
      throw new Failure(`read the kernel's state: ${messageOf(error)}`);
    });
    const was = { previous: from.subnets, wasHeld: true, occupied };
    const claim = { config: this.#options.config(), record: this.#record, ...was };
    this.#lease = await this.#options.store.acquire(claim, signal);
    this.#lost = false;
    if (!sameSubnets(this.#lease.subnets, from.subnets)) this.#options.moved(this.#lease, from);
    else this.#holdAgain();
    this.#lostAt = null;
    this.#announce();
    // What was heard of it meanwhile was not known to be of ours.
    this.#doubt = "just taken";
  }

  #holdAgain(): void {
    const { clock, log } = this.#options;
    const durationMs = Math.round(clock.boot() - (this.#lostAt ?? clock.boot()));
    const after = describeDuration(durationMs);
    log.info(`we hold ${describeSubnets(this.#lease.subnets)} again after ${after}`, {
      ...this.#fields(),
      durationMs,
    });
  }

  /** Our lease for programs. */
  #fields(): LogFields {
    return peerFields({ ...this.#lease, record: this.#record });
  }

  #doubtFrom(event: StoreEvent): string | null {
    if (event.type === "delete") return sameSubnets(event.subnets, this.#lease.subnets) ? "deleted" : null;
    if (event.type === "recovered" || event.type === "resumed") return "the store was out of reach";
    if (event.type === "unreadable") {
      const { subnets } = event.unreadable;
      return subnets && sameSubnets(subnets, this.#lease.subnets) ? "unreadable" : null;
    }
    const leases = event.type === "put" ? [event.lease] : event.type === "snapshot" ? event.leases : null;
    if (leases === null) return null;
    const own = leases.find((lease) => sameSubnets(lease.subnets, this.#lease.subnets));
    if (!own) return event.type === "snapshot" ? "missing from the list" : null;
    return encodeRecord(own.record) === encodeRecord(this.#lease.record) ? null : "changed";
  }

  /** Milliseconds until there is something to do; null where nothing is planned. */
  #dueIn(): number | null {
    if (this.#lost || this.#doubt !== null) return 0;
    if (encodeRecord(this.#record) !== encodeRecord(this.#lease.record)) return 0;
    const at = this.#renewAt();
    return at === null ? null : at - this.#options.clock.boot();
  }

  #renewAt(): Instant | null {
    return this.#lease.expires === null ? null : this.#lease.expires - this.#options.marginMs;
  }

  async #wait(ms: number | null, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const either = AbortSignal.any([signal, woken.signal]);
    const waits = [this.#trigger.wait(either)];
    if (ms !== null) waits.push(this.#options.clock.sleep(ms, either));
    try {
      await race(waits);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      woken.abort();
      await Promise.allSettled(waits);
    }
  }

  #renewed(): void {
    const { clock, log } = this.#options;
    const left = (this.#lease.expires ?? 0) - clock.boot();
    const expires = new Date(clock.wall() + left).toISOString();
    log.info(`Lease renewed, new expiration: ${expires}`, { ...this.#fields(), expires });
    this.#announce();
  }

  #announce(): void {
    const due = this.#dueIn();
    if (due === null || due <= 0) return;
    const text = `Waiting for ${formatDuration(due)} to renew lease`;
    this.#options.log.info(text, { ...this.#fields(), waitMs: Math.round(due) });
  }
}

/** As Go prints a duration, whole seconds: `22h59m59s`. */
function formatDuration(ms: number): string {
  const s = Math.floor(ms / 1000);
  return `${Math.floor(s / 3600)}h${Math.floor(s / 60) % 60}m${s % 60}s`;
}
