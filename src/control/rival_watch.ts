/** Tells of rivals while there are any, and when there are none any more. */
import { describeSubnets, type Lease } from "../model/lease.ts";
import type { Clock, Instant } from "../model/clock.ts";
import { Lasting } from "../observe/lasting.ts";
import type { Log } from "../observe/log.ts";
import type { StoreEvent } from "../store/store.ts";
import { describeRival, hasOurMac, macsOf, type Own, Rivals } from "./rivals.ts";

export interface RivalWatchPorts {
  readonly log: Log;
  readonly clock: Clock;
  own(): Own;
  /** All leases, as the store has them. */
  leases(): readonly Lease[];
  /** A record of another host has the MAC of our device. */
  macTaken(): void;
  /** Somebody is there who may take our record for one that was left over. */
  met(): void;
}

/** Between two answers to rivals: two hosts that answer each other come to an end by themselves, somebody hostile does not. */
const QUIET_MS = 60_000;

export class RivalWatch {
  readonly #rivals = new Rivals();
  readonly #told: Lasting;
  #known: ReadonlySet<string> = new Set();
  #metAt: Instant = -Infinity;
  /** What the MACs of others were last compared with, as a text. */
  #comparedAs = "";

  constructor(private readonly ports: RivalWatchPorts) {
    this.#told = new Lasting(ports.log, ports.clock, "error");
  }

  /** What keeps us from being ready, for people. */
  get reasons(): readonly string[] {
    return this.#living().map((lease) => describeRival(lease, this.ports.own()));
  }

  /** Takes an event in that the list of leases has already. */
  take(event: StoreEvent): void {
    const own = this.ports.own();
    this.#rivals.take(event, own);
    const leases = event.type === "put" ? [event.lease] : event.type === "snapshot" ? event.leases : [];
    // Whoever compares all of them below need not have this one told twice.
    if (this.#comparedAs === comparable(own) && leases.some((lease) => hasOurMac(lease, own))) {
      this.ports.macTaken();
    }
    this.tell();
  }

  /** Also without an event: our own address, subnet or MAC may have changed. */
  tell(): void {
    this.#compareMacs(this.ports.own());
    const [first] = this.#living();
    if (first === undefined) return this.#told.over("nobody else publishes our address any more");
    const text = describeRival(first, this.ports.own());
    this.#told.is(text, text, { subnet: describeSubnets(first.subnets) });
    this.#answer();
  }

  /** With all records, where we are not who we were: nobody writes his because ours has changed. */
  #compareMacs(own: Own): void {
    const as = comparable(own);
    if (as === this.#comparedAs) return;
    this.#comparedAs = as;
    if (this.ports.leases().some((lease) => hasOurMac(lease, own))) this.ports.macTaken();
  }

  /** Each rival once: it has to hear that we live, as we have heard of it. */
  #answer(): void {
    const now = this.ports.clock.boot();
    const living = new Set(
      this.#living().map(({ subnets, record }) => `${describeSubnets(subnets)} ${record.mark?.host}`),
    );
    const isNew = [...living].some((name) => !this.#known.has(name));
    if (!isNew || now - this.#metAt < QUIET_MS) return;
    this.#known = living;
    this.#metAt = now;
    this.ports.met();
  }

  #living(): readonly Lease[] {
    return this.#rivals.living(this.ports.own(), () => this.ports.leases());
  }
}

/** What decides whether another has our MAC, as a text. */
function comparable({ id, subnets, record }: Own): string {
  return `${id} ${describeSubnets(subnets)} ${macsOf(record)}`;
}
