/** A condition that lasts: told when it begins, again when it changes, and when it is over, with how long it was. */
import type { Clock, Instant } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import type { Log, LogFields } from "./log.ts";

export class Lasting {
  #state: { readonly what: string; readonly since: Instant } | null = null;

  constructor(
    readonly log: Log | undefined,
    readonly clock: Pick<Clock, "boot">,
    readonly level: "warn" | "error" = "warn",
  ) {}

  /** What it is, while it lasts. */
  get what(): string | null {
    return this.#state?.what ?? null;
  }

  /** It is so: `what` tells one from another, `text` is what is said where it is new. */
  is(what: string, text: string, fields?: LogFields): void {
    const before = this.#state;
    this.#state = { what, since: before?.since ?? this.clock.boot() };
    if (before?.what !== what) this.log?.[this.level](text, fields);
  }

  /** It is over; nothing is said where it was not. */
  over(text: string, fields?: LogFields): void {
    if (this.#state === null) return;
    const durationMs = Math.round(this.clock.boot() - this.#state.since);
    this.#state = null;
    this.log?.info(`${text} after ${describeDuration(durationMs)}`, { ...fields, durationMs });
  }
}

/** Many conditions of one sort, by name. */
export class Lasts {
  readonly #states = new Map<string, { readonly text: string; readonly since: Instant }>();

  constructor(readonly clock: Pick<Clock, "boot">) {}

  /** @param now the texts of all there are; what is new or has changed of them, and how many milliseconds what is over was */
  are(now: ReadonlyMap<string, string>): { begun: Map<string, string>; over: Map<string, number> } {
    const begun = new Map([...now].filter(([name, text]) => this.#states.get(name)?.text !== text));
    const over = new Map<string, number>();
    const at = this.clock.boot();
    for (const [name, { since }] of this.#states) if (!now.has(name)) over.set(name, Math.round(at - since));
    for (const name of over.keys()) this.#states.delete(name);
    for (const [name, text] of begun) {
      this.#states.set(name, { text, since: this.#states.get(name)?.since ?? at });
    }
    return { begun, over };
  }
}
