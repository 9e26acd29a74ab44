/**
 * What a round says in the log: a line for a peer that has joined, left or changed, whatever objects that took; a line for
 * any other change; a repair (something we had put up was gone or changed) as such; a failure or an obstacle once, and again
 * only when its text changes; and when it is over. Of each sort a few in ten seconds, of the rest how many there were.
 */
import type { Scope } from "../model/plan.ts";
import type { Clock } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Lease } from "../model/lease.ts";
import { isFirewall, type Obj, ObjectIndex, sameFields } from "../model/objects.ts";
import type { KindRules, Operation } from "../model/plan.ts";
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
import type { Round } from "./reconciler.ts";
import { type Subject, subjectFinder } from "./round_peers.ts";
import { Troubles } from "./troubles.ts";

/** What should stand, and whom it is for. */
export interface Asked {
  readonly objects: readonly Obj[];
  readonly peers: readonly Lease[];
}

/** More questions than this are worth an index of all that stood. */
const FEW_QUESTIONS = 12;
/** Devices, addresses, settings, chains: a start makes some twenty. */
const MOST_BASE_LINES = 40;

interface Group {
  readonly subject: Subject;
  readonly operations: Operation[];
}

type Stood = (object: Obj) => Obj | undefined;

export class RoundReport {
  /** What stood as wanted after the last round of its scope. */
  #stood: { readonly network: readonly Obj[]; readonly firewall: readonly Obj[] } = {
    network: [],
    firewall: [],
  };
  #peers: readonly Lease[] = [];
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
    const { plan, failed } = round;
    const subjectOf = this.#subjects(round, asked);
    const unable = new Set(failed.map((f) => f.operation));
    const applied = plan.operations.filter((operation) => !unable.has(operation));
    const stood = this.#finder(applied.length);
    for (const group of grouped(applied, subjectOf)) this.#group(group, stood);
    this.#troubles.note(round, subjectOf);
    for (const sparing of Object.values(this.#say)) {
      sparing.look();
      sparing.settle();
    }
    this.#remember(round, asked);
  }

  unreadable(part: keyof Scope, error: unknown): void {
    const text = messageOf(error);
    this.#unreadable[part].is(text, `read back the ${part}: ${text}; trying again`, { part, error: text });
  }

  readable(part: keyof Scope): void {
    this.#unreadable[part].over(`the ${part} can be read again`, { part });
  }

  /** Worked out where there is something to tell. */
  #subjects({ plan }: Round, { objects, peers }: Asked): (object: Obj) => Subject {
    const former = this.#peers;
    let find: ((object: Obj) => Subject) | undefined;
    return (object) => {
      find ??= subjectFinder([...plan.operations.flatMap((o) => o.before ?? []), ...objects], peers, former);
      return find(object);
    };
  }

  #group({ subject, operations }: Group, stood: Stood): void {
    const repairs = operations.filter(({ verb, object }) => {
      const before = stood(object);
      return verb !== "delete" && before !== undefined && sameFields(before, object);
    });
    const others = operations.filter((operation) => !repairs.includes(operation));
    if (repairs.length > 0) {
      const fields = { ...fieldsOf(subject), ...operationFields(repairs[0]!), count: repairs.length };
      this.#say.repaired.say(this.#repair(subject, repairs), fields, subject.name);
    }
    if (others.length === 0) return;
    if (subject.known === null) {
      const [operation] = others as [Operation];
      this.#say.done.say(describeDone(operation, this.rules), operationFields(operation), subject.name);
    } else this.#peer(subject, others, stood);
  }

  #repair({ name }: Subject, repairs: readonly Operation[]): string {
    return repairs.length === 1 ? describeRepair(repairs[0]!, this.rules) : describeRepairs(repairs, name);
  }

  #peer(subject: Subject, operations: readonly Operation[], stood: Stood): void {
    const texts = () => operations.map((operation) => describeDone(operation, this.rules));
    const { name, known } = subject;
    const fields = fieldsOf(subject);
    if (known === false) this.#say.left.say(`${name} left`, fields, name);
    else if (operations.some((o) => isNewWay(o, stood))) this.#say.joined.say(`${name} joined`, fields, name);
    else this.#say.changed.say(`${name}: ${texts().join("; ")}`, fields, name);
    if (this.log.verbose) { for (const text of texts()) this.log.debug(text); }
  }

  #remember({ scope, plan, failed }: Round, { objects, peers }: Asked): void {
    const not = new Set([...failed.map((f) => f.operation.object), ...plan.blocked.map((b) => b.object)]);
    const stands = not.size === 0 ? objects : objects.filter((object) => !not.has(object));
    this.#stood = {
      network: scope.network ? stands : this.#stood.network,
      firewall: scope.firewall ? stands : this.#stood.firewall,
    };
    // Who is gone from the store keeps its name until its objects are gone too.
    if (scope.network && plan.withheld.length === 0) this.#peers = peers;
  }

  /** How to find what stood, for so many questions: an index costs a walk over everything. */
  #finder(questions: number): Stood {
    const { network, firewall } = this.#stood;
    const among = ({ kind }: Obj) => isFirewall(kind) ? firewall : network;
    if (questions <= FEW_QUESTIONS) {
      return (object) => among(object).find((o) => o.key === object.key && o.kind === object.kind);
    }
    const [inNetwork, inFirewall] = [new ObjectIndex(network), new ObjectIndex(firewall)];
    return (object) => (isFirewall(object.kind) ? inFirewall : inNetwork).get(object);
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

/** True where packets find a way to the peer that had none. */
function isNewWay({ verb, object }: Operation, stood: Stood): boolean {
  return verb === "create" && subnetServed(object) !== null && stood(object) === undefined;
}
