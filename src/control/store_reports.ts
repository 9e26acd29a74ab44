/** What the store's side says in the log: outages and their end, unreadable records, refused peers, each once. */
import type { Log } from "../observe/log.ts";
import type { StoreEvent, Unreadable } from "../store/store.ts";
import { describeRefusal } from "./desired.ts";
import type { RefusedPeer } from "./peers.ts";

export class StoreReports {
  #refusals: ReadonlySet<string> = new Set();

  constructor(readonly log: Log) {}

  event(event: StoreEvent): void {
    if (event.type === "outage") {
      this.log.warn(`the store is out of reach: ${event.error}; the network stays as it is`);
    }
    if (event.type === "recovered") this.log.info("the store answers again");
    if (event.type === "snapshot") {
      this.log.info(`read ${event.leases.length} leases from the store`);
      if (event.restored) {
        this.log.warn(
          "the store was restored or replaced; peers that it lacks are kept for a while, until they are back",
        );
      }
    }
    for (const { key, reason } of unreadableIn(event)) {
      this.log.warn(
        `read lease record ${JSON.stringify(key)}: ${reason}; skipped, and what stood for it stays`,
      );
    }
  }

  /** Each refusal once while it lasts. */
  refusals(refused: readonly RefusedPeer[]): void {
    const now = new Set(refused.map(describeRefusal));
    for (const text of now) if (!this.#refusals.has(text)) this.log.warn(text);
    this.#refusals = now;
  }
}

function unreadableIn(event: StoreEvent): readonly Unreadable[] {
  if (event.type === "unreadable") return [event.unreadable];
  return event.type === "snapshot" ? event.unreadable : [];
}
