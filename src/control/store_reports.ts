/**
 * What the store's side says in the log: outages and their end; unreadable records, again with every whole list; refused
 * peers, each once while it lasts. Of thousands only a few: whoever may write to the store could fill the log otherwise.
 */
import type { Clock } from "../model/clock.ts";
import { shownJson } from "../model/shown.ts";
import type { Log } from "../observe/log.ts";
import { Sparing } from "../observe/sparing.ts";
import type { StoreEvent, Unreadable } from "../store/store.ts";
import { describeRefusal } from "./desired.ts";
import type { RefusedPeer } from "./peers.ts";

export class StoreReports {
  readonly #records: Sparing;
  readonly #peers: Sparing;
  #refusals: ReadonlySet<string> = new Set();
  #warnings: readonly string[] = [];

  constructor(readonly log: Log, clock: Clock) {
    this.#records = new Sparing(
      log,
      clock,
      (count) => `read lease records: ${count} more cannot be read; skipped, and what stood for them stays`,
    );
    this.#peers = new Sparing(log, clock, (count) => `${count} more peers refused`);
  }

  event(event: StoreEvent): void {
    if (event.type === "outage") {
      this.log.warn(`the store is out of reach: ${event.error}; the network stays as it is`);
    }
    if (event.type === "recovered") this.log.info("the store answers again");
    if (event.type === "unreadable") this.#unreadable(event.unreadable);
    if (event.type === "snapshot") {
      this.log.info(`read ${event.leases.length} leases from the store`);
      if (event.restored) {
        this.log.warn(
          "the store was restored or replaced; peers that it lacks are kept for a while, until they are back",
        );
      }
      for (const unreadable of event.unreadable) this.#unreadable(unreadable);
      this.#records.settle();
    }
  }

  #unreadable({ key, reason }: Unreadable): void {
    this.#records.say(
      `read lease record ${shownJson(key)}: ${reason}; skipped, and what stood for it stays`,
    );
  }

  /** What our own address plan has against us: each once while it lasts. */
  warnings(now: readonly string[]): void {
    for (const text of now) if (!this.#warnings.includes(text)) this.log.warn(text);
    this.#warnings = now;
  }

  /** Each refusal once while it lasts. */
  refusals(refused: readonly RefusedPeer[]): void {
    const now = new Set(refused.map(describeRefusal));
    for (const text of now) if (!this.#refusals.has(text)) this.#peers.say(text);
    this.#refusals = now;
    this.#peers.look();
    this.#peers.settle();
    this.#records.look();
  }
}
