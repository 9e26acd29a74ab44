/**
 * Failures and obstacles in the log: each once while its text stays the same, and when it is over, with how long it lasted.
 * A peer's objects fail together more often than not, so they are one trouble: its first failure stands for the rest.
 */
import type { Clock, Instant } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import { isFirewall, type Obj } from "../model/objects.ts";
import type { Log, LogFields } from "../observe/log.ts";
import { Sparing } from "../observe/sparing.ts";
import { describeBlocked, isDirect, peerFields } from "../plan/describe.ts";
import { packetsNeed } from "../plan/needed.ts";
import type { Round } from "./rounds.ts";
import type { Subject } from "./round_peers.ts";

interface Trouble {
  readonly name: string;
  readonly text: string;
  readonly error: string;
  readonly fields: LogFields;
  readonly firewall: boolean;
  /** Packets flow all the same. */
  readonly minor: boolean;
  readonly since: Instant;
}

export class Troubles {
  readonly #lasting = new Map<string, Trouble>();
  readonly #clock: Clock;
  readonly #begun: Sparing;
  readonly #minor: Sparing;
  readonly #over: Sparing;

  constructor(log: Log, clock: Clock) {
    this.#clock = clock;
    const more = (count: number) => `${count} more failures or obstacles like these`;
    this.#begun = new Sparing(log, clock, more, "error");
    this.#minor = new Sparing(log, clock, more);
    this.#over = new Sparing(log, clock, (count) => `${count} more in order again`, "info");
  }

  note(round: Round, subjectOf: (object: Obj) => Subject): void {
    const now = this.#found(round, subjectOf);
    for (const [id, { name, text, fields, error, minor }] of now) {
      if (this.#lasting.get(id)?.text === text) continue;
      (minor ? this.#minor : this.#begun).say(text, { ...fields, error }, name);
    }
    for (const [id, trouble] of this.#lasting) {
      const scope = trouble.firewall ? round.scope.firewall : round.scope.network;
      if (scope && !now.has(id)) this.#end(id, trouble);
    }
    for (const [id, trouble] of now) this.#lasting.set(id, trouble);
    for (const sparing of [this.#begun, this.#minor, this.#over]) {
      sparing.look();
      sparing.settle();
    }
  }

  #found({ failed, plan }: Round, subjectOf: (object: Obj) => Subject): Map<string, Trouble> {
    const found = new Map<string, Trouble>();
    const add = (object: Obj, text: string, error: string, minor = false) => {
      const { id, name, lease } = subjectOf(object);
      const fields = { ...(lease && peerFields(lease)), object: object.kind, key: object.key };
      const since = this.#lasting.get(id)?.since ?? this.#clock.boot();
      if (!found.has(id)) {
        found.set(id, { name, text, error, fields, firewall: isFirewall(object.kind), minor, since });
      }
    };
    for (const { operation, error } of failed) {
      if (packetsNeed(operation)) add(operation.object, `${error}; trying again`, error!);
      else add(operation.object, `${error}; packets flow without it; trying again`, error!, true);
    }
    for (const blocked of plan.blocked.filter(isDirect)) {
      add(blocked.object, describeBlocked(blocked), "one that is not ours is in the way");
    }
    return found;
  }

  #end(id: string, { name, fields, since }: Trouble): void {
    const durationMs = Math.round(this.#clock.boot() - since);
    this.#lasting.delete(id);
    const text = `${name}: in order again, after ${describeDuration(durationMs)}`;
    this.#over.say(text, { ...fields, durationMs }, name);
  }
}
