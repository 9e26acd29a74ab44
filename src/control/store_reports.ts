/**
 * What the store's side says in the log: outages and their end; unreadable records, again with every whole list; refused
 * peers, each once while it lasts. Of thousands only a few: whoever may write to the store could fill the log otherwise.
 */
import type { Clock } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import { describeSubnets } from "../model/lease.ts";
import { shownJson } from "../model/shown.ts";
import { Lasting, Lasts } from "../observe/lasting.ts";
import type { Log } from "../observe/log.ts";
import { Sparing } from "../observe/sparing.ts";
import { describeOutage, type StoreEvent, type Unreadable } from "../store/store.ts";
import { peerFields } from "../plan/describe.ts";
import { describeRefusal } from "../plan/desired.ts";
import type { RefusedPeer } from "../plan/peers.ts";

export class StoreReports {
  readonly #records: Sparing;
  readonly #peers: Sparing;
  readonly #accepted: Sparing;
  readonly #outage: Lasting;
  readonly #warnings: Lasts;
  readonly #refusals: Lasts;

  constructor(readonly log: Log, clock: Clock) {
    this.#records = new Sparing(
      log,
      clock,
      (count) => `read lease records: ${count} more cannot be read; skipped, and what stood for them stays`,
    );
    this.#peers = new Sparing(log, clock, (count) => `${count} more peers refused, see /readyz`);
    this.#accepted = new Sparing(log, clock, (count) => `${count} more peers no longer refused`, "info");
    this.#outage = new Lasting(log, clock);
    this.#warnings = new Lasts(clock);
    this.#refusals = new Lasts(clock);
  }

  event(event: StoreEvent): void {
    if (event.type === "outage") {
      const { error } = event;
      this.#outage.is(error, `${describeOutage(event)}; the network stays as it is`, { error });
    }
    if (event.type === "recovered") this.#outage.over("the store answers again");
    if (event.type === "unreadable") this.#unreadable(event.unreadable);
    if (event.type === "snapshot") this.#snapshot(event);
  }

  #snapshot({ leases, unreadable, restored = false }: StoreEvent & { readonly type: "snapshot" }): void {
    this.#outage.over("the store answers again");
    const counts = { leases: leases.length, unreadable: unreadable.length };
    this.log.info(`read ${leases.length} leases from the store`, counts);
    if (restored) {
      this.log.warn(
        "the store was restored or replaced; peers that it lacks are kept for a while, until they are back",
        counts,
      );
    }
    for (const each of unreadable) this.#unreadable(each);
    this.#records.settle();
  }

  #unreadable({ key, reason }: Unreadable): void {
    this.#records.say(
      `read lease record ${shownJson(key)}: ${reason}; skipped, and what stood for it stays`,
      { key, error: reason },
      shownJson(key),
    );
  }

  /** What our own address plan has against us: each once while it lasts. */
  warnings(now: readonly string[]): void {
    const { begun, over } = this.#warnings.are(new Map(now.map((text) => [text, text])));
    for (const text of begun.keys()) this.log.error(text);
    for (const [text, durationMs] of over) {
      this.log.info(`over after ${describeDuration(durationMs)}: ${text}`, { durationMs });
    }
  }

  /** Each refusal once while it lasts, and its end. */
  refusals(refused: readonly RefusedPeer[]): void {
    const byName = new Map(refused.map((peer) => [describeSubnets(peer.lease.subnets), peer]));
    const texts = new Map([...byName].map(([name, peer]) => [name, describeRefusal(peer)]));
    const { begun, over } = this.#refusals.are(texts);
    for (const [subnet, text] of begun) {
      const { lease, reason } = byName.get(subnet)!;
      this.#peers.say(text, { ...peerFields(lease), error: reason }, subnet);
    }
    for (const [subnet, durationMs] of over) {
      const text = `peer ${subnet}: no longer refused, after ${describeDuration(durationMs)}`;
      this.#accepted.say(text, { subnet, durationMs }, subnet);
    }
    for (const sparing of [this.#peers, this.#accepted]) {
      sparing.look();
      sparing.settle();
    }
    this.#records.look();
  }
}
