/**
 * What a daemon that starts is waiting for, for `/readyz`: the stage that it has come to, and what it last complained of there.
 * Whatever waits (for the store, the configuration, a lease) complains in the log, so the log is where this listens.
 */
import type { Log } from "../observe/log.ts";
import type { Readiness } from "./readiness.ts";

export class StartStatus {
  #stage = "opening the store";
  #complaint: string | null = null;

  /** The next stage; complaints of the last one are over. */
  begin(stage: string): void {
    this.#stage = stage;
    this.#complaint = null;
  }

  /** The same log; a complaint counts until something else is said, which is that it is over. */
  listen(log: Log): Log {
    const complain = (level: "warn" | "error"): Log["warn"] => (message, fields) => {
      this.#complaint = message;
      log[level](message, fields);
    };
    return {
      ...log,
      info: (message, fields) => {
        this.#complaint = null;
        log.info(message, fields);
      },
      warn: complain("warn"),
      error: complain("error"),
    };
  }

  readiness(): Readiness {
    const complaints = this.#complaint === null ? [] : [this.#complaint];
    return { ready: false, reasons: [`starting: ${this.#stage}`, ...complaints], notes: [] };
  }
}
