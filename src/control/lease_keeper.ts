/**
 * Keeps our lease ours: renews it in time, publishes what we have to say, notices its loss.
 *
 * - A store that is out of reach or refuses us is no loss: everything stays, even past the expiry, and it is tried again
 *   until it answers.
 * - What the watch says of our key is only a hint to go and look. What becomes of what is found, `model/identity.ts` decides:
 *   it stays, is written again, or another subnet is taken in this process (with `onLost: "exit"` the run ends with a Failure).
 * - Every write is conditional on what was found.
 * - Whoever rewrites our record again and again makes us answer less and less often, not faster.
 */
import type { Clock, Instant, Random } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import { Failure, LeaseLost, messageOf } from "../model/errors.ts";
import { hold, type Mark, type Verdict, type Why } from "../model/identity.ts";
import { describeSubnets, type Lease, type LeaseRecord, sameSubnets, type Subnets } from "../model/lease.ts";
import type { Occupied } from "../model/occupied.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { Lasting } from "../observe/lasting.ts";
import type { Log, LogFields } from "../observe/log.ts";
import { hostOf } from "../store/host_name.ts";
import { isAsWritten } from "../store/lease_table.ts";
import { isLost, type Look, type Store, type StoreEvent, StoreUnavailable } from "../store/store.ts";
import { Backoff } from "../async/backoff.ts";
import { peerFields } from "../plan/describe.ts";
import { describeOwner, describeWrite } from "./holding_texts.ts";
import {
  elderOverlap,
  foundBy,
  hasElderTwin,
  Holding,
  isElderOverlap,
  sameContent,
  unmarked,
} from "./holding.ts";
import type { Identity } from "./identity.ts";
import { Trigger } from "../async/trigger.ts";

/** How long nobody else has to have written our record for the next answer to be given at once. */
const CONTEST_MS = 60_000;

export interface KeeperOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** How long before its end a lease is renewed. */
  readonly marginMs: number;
  readonly onLost: "reacquire" | "exit";
  readonly identity: Identity;
  /** The configuration as it is now: a new subnet is taken from it. */
  config(): NetworkConfig;
  /** What this host has without us, and without what carries `own` for us. */
  occupied(own: Subnets): Promise<readonly Occupied[]>;
  /** Our lease is another one now (other subnets): the host has to move. */
  moved(lease: Lease, from: Lease): void;
  /** The id is another one: so is the MAC that follows from it. Resolves when our record says so. */
  renamed(): Promise<void>;
  /** Every lease that stands in the store, as far as it has told. */
  leases(): readonly Lease[];
  /** A trial is over: the lease is ours. */
  proven(): void;
}

export class LeaseKeeper {
  readonly #options: KeeperOptions;
  readonly #trigger = new Trigger();
  /** The store is known to answer again: what it refused before is tried at once. */
  readonly #answers = new Trigger();
  readonly #backoff: Backoff;
  #lease: Lease;
  /** Without its mark. */
  #record: LeaseRecord;
  #holding: Holding;
  /** Why the lease may no longer be ours; null while it is, as last confirmed. */
  #doubt: string | null = null;
  #lost = false;
  /** False: the record is to be written again. */
  #untouched = true;
  /** Our id is another one, and our MAC does not follow from it yet. */
  #renamed = false;
  #lostAt: Instant | null = null;
  readonly #trouble: Lasting;
  /** Between answers to somebody who rewrites our record; reset when none was needed for a while. */
  readonly #contest: Backoff;
  #contestAt: Instant = -Infinity;
  /** Our record is another's, and the time to answer has not come yet; then it has. */
  #restrained: "waits" | "may answer" | null = null;

  constructor(lease: Lease, options: KeeperOptions) {
    this.#options = options;
    this.#lease = lease;
    this.#record = unmarked(lease.record);
    this.#holding = new Holding(markOf(lease), options.clock.boot());
    this.#contest = new Backoff(500, 60_000, options.random);
    this.#backoff = new Backoff(1_000, 60_000, options.random);
    this.#trouble = new Lasting(options.log, options.clock);
  }

  get lease(): Lease {
    return this.#lease;
  }

  /** False from the moment the store has said that the lease is not ours until we have one again. */
  get held(): boolean {
    return !this.#lost && this.#restrained !== "waits";
  }

  /** True while our subnet may still turn out to be another host's: nothing is told to others before. */
  get onTrial(): boolean {
    return this.#holding.onTrial;
  }

  /** Has the record written again although it says what it should: others see that this host lives. */
  touch(): void {
    this.#untouched = false;
    this.#trigger.ring();
  }

  /** What the record should say from now on. */
  publish(record: LeaseRecord): void {
    this.#record = record;
    this.#trigger.ring();
  }

  /** Takes a hint from the store's watch. */
  observe(event: StoreEvent): void {
    if (breaksContact(event)) this.#holding.contactBroken();
    if (isAnswer(event)) this.#answers.ring();
    const doubt = this.#doubtFrom(event);
    if (doubt === null) return;
    this.#doubt = doubt;
    this.#trigger.ring();
  }

  /** Runs until aborted, or throws LeaseLost where a lost lease ends the run. */
  async run(signal: AbortSignal): Promise<void> {
    this.#announce();
    // Taken without a trial it is ours at once, and to be found again after a reboot.
    if (!this.onTrial) await this.#options.identity.hold(this.#lease.subnets);
    while (!signal.aborted) {
      const due = this.#dueIn();
      if (due === null || due > 0) await this.#trigger.waitFor(due ?? Infinity, this.#options.clock, signal);
      if (signal.aborted) return;
      await this.#attempt(signal);
    }
  }

  /** One step; a store that is out of reach, refuses us or has no free subnet only delays it. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    this.#answers.still();
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
      await this.#answers.waitFor(wait, clock, signal);
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    if (this.#renamed) await this.#follow();
    if (this.#lost) return await this.#reacquire(signal);
    if ((this.#dueIn() ?? Infinity) > 0) return;
    const doubt = this.#doubt;
    // What is heard while the store answers is another doubt: the answer may be older.
    this.#doubt = null;
    try {
      await this.#look(signal);
    } catch (error) {
      this.#doubt ??= doubt;
      throw error;
    }
  }

  /** Looks at our record, and does what the rules say. */
  async #look(signal: AbortSignal): Promise<void> {
    const { store, clock, identity } = this.#options;
    const { breaks } = this.#holding;
    const look = await store.look(this.#lease, signal);
    const { mark } = this.#holding;
    const leases = this.#options.leases();
    const elder = elderOverlap(leases, this.#lease);
    const elderTwin = hasElderTwin(leases, this.#lease, mark.host);
    const fresh = { host: () => identity.newHost(), run: () => identity.newRun() };
    const found = foundBy(look, this.#record, { elderTwin, elderOverlap: elder !== undefined });
    const verdict = hold(this.#holding.holder(clock.boot()), found, fresh);
    switch (verdict.type) {
      case "keep":
        this.#holding.inOrder(breaks, clock.boot());
        return await this.#keep(look, signal);
      case "learn":
        await this.#stands(look.found as Lease, breaks);
        // The other half may not have got there.
        if (look.incomplete === true) this.#doubt = "incomplete";
        return;
      case "write":
        return await this.#write(look.found as Lease, verdict, breaks, signal);
      case "create":
        return await this.#create(verdict.mark, breaks, signal);
      case "yield":
        return await this.#yield(
          ownerOf(look, verdict.why === "part of it is an older record's" ? elder : undefined),
          verdict,
          signal,
        );
    }
  }

  async #keep({ incomplete = false }: Look, signal: AbortSignal): Promise<void> {
    const { clock, store } = this.#options;
    const due = (this.#renewAt() ?? Infinity) <= clock.boot();
    if (!due && !incomplete && this.#untouched) return;
    // Some stores write to renew: without a reply, what stands then at another version is our own doing.
    this.#holding.writing(this.#holding.mark);
    const result = this.#untouched
      ? await store.renew(this.#lease, signal)
      : await store.publish(this.#lease, this.#lease.record, signal);
    this.#untouched = true;
    this.#holding.answered();
    if (isLost(result)) return void (this.#doubt = "changed while it was renewed");
    this.#lease = result;
    if (due) this.#renewed();
  }

  /** Over what was found. */
  async #write(
    over: Lease,
    { mark, why }: Verdict & { readonly type: "write" },
    breaks: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, identity } = this.#options;
    const isNewHost = mark.host !== this.#holding.mark.host;
    if (!quiet.has(why) && await this.#restrains(signal)) return void (this.#doubt = "contested");
    if (isNewHost) {
      await identity.rename(mark.host);
      // From now on: also where this write comes to nothing.
      this.#renamed = true;
    }
    identity.run = mark.run;
    this.#tell(why, over);
    this.#holding.writing(mark);
    const result = await store.publish(over, { ...this.#record, mark }, signal);
    if (isLost(result)) {
      this.#holding.answered();
      return void (this.#doubt = "changed while it was written");
    }
    await this.#stands(result, breaks);
    // The record told of the MAC that the id before had.
    if (isNewHost) await this.#follow();
  }

  /** Everything that follows from our id follows from the new one; what keeps it from that is tried again. */
  async #follow(): Promise<void> {
    this.#renamed = true;
    await this.#options.renamed().catch((error) => {
      throw new Failure(`change the MAC with the host's id: ${messageOf(error)}`);
    });
    this.#renamed = false;
  }

  async #create(mark: Mark, breaks: number, signal: AbortSignal): Promise<void> {
    const { store, log, clock } = this.#options;
    const { subnets } = this.#lease;
    this.#lostAt ??= clock.boot();
    log.warn(
      `our lease ${describeSubnets(subnets)} is gone from the store; taking the same subnet again`,
      this.#fields(),
    );
    this.#holding.writing(mark);
    const result = await store.create(subnets, { ...this.#record, mark }, signal);
    if (result === null || isLost(result)) this.#holding.answered();
    if (result === null) return void (this.#doubt = "made by somebody meanwhile");
    if (isLost(result)) return this.#lose(result.by ? hostOf(result.by) : "another host");
    await this.#stands(result, breaks);
    this.#holdAgain();
  }

  /** The record is another's, by the rules. @param owner in words */
  async #yield(
    owner: string,
    { newHost, why }: Verdict & { readonly type: "yield" },
    signal: AbortSignal,
  ): Promise<void> {
    const { identity, store } = this.#options;
    // What of it is ours: all where another's overlaps it, a half in stores that are two.
    await store.release(this.#lease, signal);
    identity.pass(this.#lease.subnets);
    this.#lose(`${owner}${describeOwner(why)}`);
    if (!newHost) return;
    await identity.rename(identity.newHost());
    await this.#follow();
  }

  /** Takes note of the loss; the next step acts on it. @param owner in words, to follow "belongs to" */
  #lose(owner: string): void {
    const subnets = describeSubnets(this.#lease.subnets);
    if (this.#options.onLost === "exit") {
      throw new LeaseLost(
        `Lease has been revoked. Shutting down daemon. Keep lease "${subnets}": it belongs to ${owner}; start again to get another subnet`,
      );
    }
    this.#lost = true;
    this.#lostAt ??= this.#options.clock.boot();
    this.#options.log.error(`our lease ${subnets} belongs to ${owner}; taking another subnet`, {
      ...this.#fields(),
      owner,
    });
  }

  /** Our record is known to stand like this. */
  async #stands(lease: Lease, breaks: number): Promise<void> {
    const { clock, identity } = this.#options;
    const wasOnTrial = this.#holding.onTrial;
    this.#lease = lease;
    this.#holding.stands(markOf(lease), breaks, clock.boot());
    if (this.#holding.onTrial) return;
    await identity.hold(lease.subnets);
    if (wasOnTrial) this.#options.proven();
    // What was told before ours stood like this was not older, or had our id.
    const leases = this.#options.leases();
    if (elderOverlap(leases, lease) || hasElderTwin(leases, lease, markOf(lease).host)) {
      this.#doubt = "an older record concerns it";
    }
  }

  async #reacquire(signal: AbortSignal): Promise<void> {
    const { clock, identity } = this.#options;
    const from = this.#lease;
    await this.#restrains(signal);
    this.#restrained = null;
    const occupied = await this.#options.occupied(from.subnets).catch((error) => {
      throw new Failure(`read the kernel's state: ${messageOf(error)}`);
    });
    const was = { previous: from.subnets, wasHeld: true, occupied };
    const claim = { config: this.#options.config(), self: identity.claimant(), record: this.#record, ...was };
    const { breaks } = this.#holding;
    this.#lease = await this.#options.store.acquire(claim, signal);
    this.#holding = new Holding(markOf(this.#lease), clock.boot());
    await this.#stands(this.#lease, breaks);
    if (!sameSubnets(this.#lease.subnets, from.subnets)) this.#options.moved(this.#lease, from);
    else this.#holdAgain();
    // Not before everybody knows of the other subnet.
    this.#lost = false;
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
    this.#lostAt = null;
  }

  /**
   * Somebody else writes our record too: the first answer is given at once, further ones less and less often.
   *
   * @returns whether time has passed, so that what was found may be no more; the next answer after that is given at once
   */
  async #restrains(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    const wasQuiet = clock.boot() - this.#contestAt > CONTEST_MS;
    const waits = !wasQuiet && this.#restrained !== "may answer";
    if (wasQuiet) this.#contest.reset();
    if (waits) {
      this.#restrained = "waits";
      await clock.sleep(this.#contest.next(), signal);
    }
    this.#restrained = waits ? "may answer" : null;
    this.#contestAt = clock.boot();
    return waits;
  }

  #tell(why: Why, over: Lease): void {
    const subnets = describeSubnets(this.#lease.subnets);
    const { level, text } = describeWrite(why, subnets, over.record);
    const others = why === "said anew" || why === "proven" ? {} : { writer: hostOf(over.record) };
    this.#options.log[level](text, { ...this.#fields(), ...others });
  }

  /** Our lease for programs. */
  #fields(): LogFields {
    return peerFields({ ...this.#lease, record: this.#record });
  }

  #doubtFrom(event: StoreEvent): string | null {
    if (event.type === "delete") return sameSubnets(event.subnets, this.#lease.subnets) ? "deleted" : null;
    if (event.type === "recovered" || event.type === "resumed") return "the store was out of reach";
    if (event.type === "snapshot" && event.restored === true) return "the store was restored";
    if (event.type === "put" && this.#isTwin(event.lease)) return "our id elsewhere";
    if (event.type === "put" && isElderOverlap(event.lease, this.#lease)) {
      return "an older record overlaps it";
    }
    if (event.type === "unreadable") {
      const { subnets } = event.unreadable;
      return subnets && sameSubnets(subnets, this.#lease.subnets) ? "unreadable" : null;
    }
    const leases = event.type === "put" ? [event.lease] : event.type === "snapshot" ? event.leases : null;
    if (leases === null) return null;
    const own = leases.find((lease) => sameSubnets(lease.subnets, this.#lease.subnets));
    if (!own) return event.type === "snapshot" ? "missing from the list" : null;
    if (event.type === "snapshot" && event.leases.some((lease) => this.#isTwin(lease))) {
      return "our id elsewhere";
    }
    if (event.type === "snapshot" && elderOverlap(leases, this.#lease)) return "an older record overlaps it";
    return isAsWritten(own, this.#lease) ? null : "changed";
  }

  #isTwin({ record, subnets }: Lease): boolean {
    return record.mark?.host === this.#holding.mark.host && !sameSubnets(subnets, this.#lease.subnets);
  }

  /** Milliseconds until there is something to do; null where nothing is planned. */
  #dueIn(): number | null {
    if (this.#lost || this.#renamed || this.#doubt !== null || !this.#untouched) return 0;
    if (!sameContent(this.#record, this.#lease.record)) return 0;
    const at = Math.min(this.#renewAt() ?? Infinity, this.#holding.provenAt ?? Infinity);
    return at === Infinity ? null : at - this.#options.clock.boot();
  }

  #renewAt(): Instant | null {
    return this.#lease.expires === null ? null : this.#lease.expires - this.#options.marginMs;
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
    const seconds = Math.ceil(due / 1000);
    const text = this.onTrial
      ? `our lease ${
        describeSubnets(this.#lease.subnets)
      } is on trial: ours in ${seconds} s if nobody objects`
      : `Waiting for ${formatDuration(due)} to renew lease`;
    this.#options.log.info(text, { ...this.#fields(), waitMs: Math.round(due) });
  }
}

/** Answers that nobody else's writing has caused. */
const quiet: ReadonlySet<Why> = new Set<Why>(["said anew", "proven"]);

function breaksContact(event: StoreEvent): boolean {
  const { type } = event;
  return type === "outage" || type === "recovered" || type === "resumed" ||
    (type === "snapshot" && event.restored === true);
}

/** True where the store has answered after it did not, or as another; rare enough to try at once what it refused before. */
function isAnswer({ type }: StoreEvent): boolean {
  return type === "recovered" || type === "resumed" || type === "snapshot";
}

function markOf({ record }: Lease): Mark {
  if (record.mark === undefined) throw new Error("our record has no mark");
  return record.mark;
}

/** Whose our record is now, in words. @param elder whose older record has part of it, where one has */
function ownerOf({ found }: Look, elder: Lease | undefined): string {
  if (found !== null && "reason" in found) {
    return `another host now, with a record that can't be read (${found.reason})`;
  }
  const owner = elder ?? found;
  return `${owner ? hostOf(owner.record) : "another host"} now`;
}

/** As Go prints a duration, whole seconds: `22h59m59s`. */
function formatDuration(ms: number): string {
  const s = Math.floor(ms / 1000);
  return `${Math.floor(s / 3600)}h${Math.floor(s / 60) % 60}m${s % 60}s`;
}
