/**
 * What a round says in the log: a line for a peer that has joined, left or changed, whatever objects that took; a line for
 * any other change; a repair (something we had put up was gone or changed) as such; a failure or an obstacle once, and again
 * only when its text changes; and when it is over. Of each sort a few in ten seconds, of the rest how many there were.
 */
import type { Scope } from "../model/plan.ts";
import type { Clock } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Obj, ObjectId } from "../model/objects.ts";
import type { KindRules, Operation, Outcome } from "../model/plan.ts";
import { Lasting } from "../observe/lasting.ts";
import type { Log, LogFields } from "../observe/log.ts";
import { Sparing } from "../observe/sparing.ts";
import {
  describeDone,
  describeRepair,
  describeRepairs,
  operationFields,
  peerFields,
} from "../plan/describe.ts";
import { subnetServed } from "../plan/peer_objects.ts";
import type { Round } from "./rounds.ts";
import type { Before } from "../plan/rolling.ts";
import { type PeerNames, type Subject, subjectFinder } from "./round_peers.ts";
import { Troubles } from "./troubles.ts";

/** What a round was about. */
export interface Asked {
  /** Of its operations those that failed; the round has what is open besides. */
  readonly failed: readonly Outcome[];
  readonly names: PeerNames;
  /** How an object that was made or changed was wanted before. */
  before(object: Obj): Before;
  /** A route that goes by a nexthop object. */
  userOf(nexthop: number): ObjectId | undefined;
}

/** Devices, addresses, settings, chains: a start makes some twenty. */
const MOST_BASE_LINES = 40;

interface Group {
  readonly subject: Subject;
  readonly operations: Operation[];
}

export class RoundReport {
  readonly #unreadable: Readonly<Record<keyof Scope, Lasting>>;
  readonly #troubles: Troubles;
  readonly #say: Readonly<Record<"joined" | "left" | "changed" | "done" | "repaired", Sparing>>;

  constructor(readonly log: Log, clock: Clock, readonly rules: ReadonlyMap<string, KindRules>) {
    const peers = (what: string) => new Sparing(log, clock, (count) => `${count} more peers ${what}`, "info");
    this.#say = {
      joined: peers("joined"),
      left: peers("left"),
      changed: peers("changed"),
      done: new Sparing(log, clock, (count) => `${count} more changes`, "info", MOST_BASE_LINES),
      repaired: new Sparing(log, clock, (count) => `${count} more repairs, of peers or single objects`),
    };
    this.#troubles = new Troubles(log, clock);
    this.#unreadable = {
      network: new Lasting(log, clock, "error"),
      firewall: new Lasting(log, clock, "error"),
    };
  }

  round(round: Round, asked: Asked): void {
    const subjectOf = subjects(round, asked);
    const unable = new Set(asked.failed.map((f) => f.operation));
    const applied = round.plan.operations.filter((operation) => !unable.has(operation));
    for (const group of grouped(applied, subjectOf)) this.#group(group, asked);
    this.#troubles.note(round, subjectOf);
    for (const sparing of Object.values(this.#say)) {
      sparing.look();
      sparing.settle();
    }
  }

  unreadable(part: keyof Scope, error: unknown): void {
    const text = messageOf(error);
    this.#unreadable[part].is(text, `read back the ${part}: ${text}; trying again`, { part, error: text });
  }

  readable(part: keyof Scope): void {
    this.#unreadable[part].over(`the ${part} can be read again`, { part });
  }

  #group({ subject, operations }: Group, { before }: Asked): void {
    const repairs = operations.filter(({ verb, object }) => verb !== "delete" && before(object) === "same");
    const others = operations.filter((operation) => !repairs.includes(operation));
    if (repairs.length > 0) {
      const fields = { ...fieldsOf(subject), ...operationFields(repairs[0]!), count: repairs.length };
      this.#say.repaired.say(this.#repair(subject, repairs), fields, subject.name);
    }
    if (others.length === 0) return;
    if (subject.known === null) {
      const [operation] = others as [Operation];
      this.#say.done.say(describeDone(operation, this.rules), operationFields(operation), subject.name);
    } else this.#peer(subject, others, others.some((operation) => isNewWay(operation, before)));
  }

  #repair({ name }: Subject, repairs: readonly Operation[]): string {
    return repairs.length === 1 ? describeRepair(repairs[0]!, this.rules) : describeRepairs(repairs, name);
  }

  #peer(subject: Subject, operations: readonly Operation[], joined: boolean): void {
    const texts = () => operations.map((operation) => describeDone(operation, this.rules));
    const { name, known } = subject;
    const fields = fieldsOf(subject);
    if (known === false) this.#say.left.say(`${name} left`, fields, name);
    else if (joined) this.#say.joined.say(`${name} joined`, fields, name);
    else this.#say.changed.say(`${name}: ${texts().join("; ")}`, fields, name);
    if (this.log.verbose) { for (const text of texts()) this.log.debug(text); }
  }
}

function fieldsOf({ lease }: Subject): LogFields {
  return lease ? peerFields(lease) : {};
}

/** In the order of the first operation of each. */
function grouped(operations: readonly Operation[], subjectOf: (object: Obj) => Subject): Iterable<Group> {
  const groups = new Map<string, Group>();
  for (const operation of operations) {
    const subject = subjectOf(operation.object);
    const group = groups.get(subject.id);
    if (group) group.operations.push(operation);
    else groups.set(subject.id, { subject, operations: [operation] });
  }
  return groups.values();
}

/** Worked out where there is something to tell. */
function subjects({ plan, failed }: Round, { names, userOf }: Asked): (object: Obj) => Subject {
  let find: ((object: Obj) => Subject) | undefined;
  return (object) => {
    const operations = [...plan.operations, ...failed.map((f) => f.operation)];
    find ??= subjectFinder(
      [
        ...operations.flatMap((o) => o.before ?? []),
        ...[...operations, ...plan.blocked].map((o) => o.object),
      ],
      names,
      userOf,
    );
    return find(object);
  };
}

/** True where packets find a way to the peer that had none. */
function isNewWay({ verb, object }: Operation, before: Asked["before"]): boolean {
  return verb === "create" && subnetServed(object) !== null && before(object) === "new";
}
