/**
 * Failures and obstacles in the log: each once while its text stays the same, and when it is over, with how long it lasted.
 * A peer's objects fail together more often than not, so they are one trouble: its first failure stands for the rest.
 */
import type { Clock, Instant } from "../model/clock.ts";
import { describeDuration } from "../model/duration.ts";
import { isFirewall, type Obj } from "../model/objects.ts";
import type { Log, LogFields } from "../observe/log.ts";
import { Sparing } from "../observe/sparing.ts";
import { describeBlocked, isDirect, peerFields } from "./describe.ts";
import type { Round } from "./reconciler.ts";
import type { Subject } from "./round_peers.ts";

interface Trouble {
  readonly name: string;
  readonly text: string;
  readonly error: string;
  readonly fields: LogFields;
  readonly firewall: boolean;
  readonly since: Instant;
}

export class Troubles {
  readonly #lasting = new Map<string, Trouble>();
  readonly #clock: Clock;
  readonly #begun: Sparing;
  readonly #over: Sparing;

  constructor(log: Log, clock: Clock) {
    this.#clock = clock;
    this.#begun = new Sparing(
      log,
      clock,
      (count) => `${count} more failures or obstacles like these`,
      "error",
    );
    this.#over = new Sparing(log, clock, (count) => `${count} more in order again`, "info");
  }

  note(round: Round, subjectOf: (object: Obj) => Subject): void {
    const now = this.#found(round, subjectOf);
    for (const [id, { name, text, fields, error }] of now) {
      if (this.#lasting.get(id)?.text !== text) this.#begun.say(text, { ...fields, error }, name);
    }
    for (const [id, trouble] of this.#lasting) {
      const scope = trouble.firewall ? round.scope.firewall : round.scope.network;
      if (scope && !now.has(id)) this.#end(id, trouble);
    }
    for (const [id, trouble] of now) this.#lasting.set(id, trouble);
    for (const sparing of [this.#begun, this.#over]) {
      sparing.look();
      sparing.settle();
    }
  }

  #found({ failed, plan }: Round, subjectOf: (object: Obj) => Subject): Map<string, Trouble> {
    const found = new Map<string, Trouble>();
    const add = (object: Obj, text: string, error: string) => {
      const { id, name, lease } = subjectOf(object);
      const fields = { ...(lease && peerFields(lease)), object: object.kind, key: object.key };
      const since = this.#lasting.get(id)?.since ?? this.#clock.boot();
      if (!found.has(id)) {
        found.set(id, { name, text, error, fields, firewall: isFirewall(object.kind), since });
      }
    };
    for (const { operation, error } of failed) add(operation.object, `${error}; trying again`, error!);
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
