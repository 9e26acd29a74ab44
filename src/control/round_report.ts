/**
 * What a round says in the log: few changes one by one, many as a count; a repair (something we had put up was gone or
 * changed) as such; a failure or an obstacle once, and again only when its text changes; and when it is over.
 */
import type { Scope } from "../kernel/kernel.ts";
import { isFirewall, type Obj, ObjectIndex } from "../model/objects.ts";
import type { KindRules, Operation } from "../model/plan.ts";
import type { Log } from "../observe/log.ts";
import { messageOf } from "../model/errors.ts";
import { describeBlocked, describeDone, describeRepair, done } from "./describe.ts";
import type { Round } from "./reconciler.ts";

/** More operations than this in a round are counted instead of listed. */
const MOST_LINES = 12;

export class RoundReport {
  /** What stood as wanted after the last round of its scope. */
  #stood: { readonly network: readonly Obj[]; readonly firewall: readonly Obj[] } = {
    network: [],
    firewall: [],
  };
  readonly #troubles = new Map<string, string>();
  readonly #unreadable = new Map<keyof Scope, string>();

  constructor(readonly log: Log, readonly rules: ReadonlyMap<string, KindRules>) {}

  round(round: Round, wanted: readonly Obj[]): void {
    const failed = new Set(round.failed.map((f) => f.operation));
    const applied = round.plan.operations.filter((operation) => !failed.has(operation));
    const stood = this.#finder(applied.length);
    if (applied.length > MOST_LINES) this.#summary(applied);
    for (const operation of applied) {
      this.#operation(operation, stood(operation.object), applied.length <= MOST_LINES);
    }
    this.#note(round);
    this.#remember(round, wanted);
  }

  unreadable(part: keyof Scope, error: unknown): void {
    const text = messageOf(error);
    if (text !== this.#unreadable.get(part)) this.log.error(`read back the ${part}: ${text}; trying again`);
    this.#unreadable.set(part, text);
  }

  readable(part: keyof Scope): void {
    if (this.#unreadable.delete(part)) this.log.info(`the ${part} can be read again`);
  }

  #operation(operation: Operation, stood: Obj | undefined, aloud: boolean): void {
    const repair = operation.verb !== "delete" && sameFields(stood, operation.object);
    if (!repair && !aloud && this.log.verbose === false) return;
    if (repair) this.log.warn(describeRepair(operation, this.rules));
    else if (aloud) this.log.info(describeDone(operation, this.rules));
    else this.log.debug(describeDone(operation, this.rules));
  }

  #summary(operations: readonly Operation[]): void {
    const counts = new Map<string, number>();
    for (const { verb, object } of operations) {
      const what = `${done[verb]} ${object.kind}`;
      counts.set(what, (counts.get(what) ?? 0) + 1);
    }
    this.log.info(
      `applied ${operations.length} changes: ${[...counts].map(([w, n]) => `${w} ${n}`).join(", ")}`,
    );
  }

  /** Failures and obstacles: each once while it lasts. */
  #note(round: Round): void {
    const now = new Map<string, string>();
    for (const { operation, error } of round.failed) now.set(id(operation.object), `${error}; trying again`);
    for (const blocked of round.plan.blocked) now.set(id(blocked.object), describeBlocked(blocked));
    for (const [key, text] of now) if (this.#troubles.get(key) !== text) this.log.error(text);
    for (const key of this.#troubles.keys()) {
      if (now.has(key) || !inScope(key.split(" ", 1)[0]!, round)) continue;
      this.#troubles.delete(key);
      this.log.info(`${key}: in order again`);
    }
    for (const [key, text] of now) this.#troubles.set(key, text);
  }

  #remember({ scope, plan, failed }: Round, wanted: readonly Obj[]): void {
    const not = new Set([...failed.map((f) => f.operation.object), ...plan.blocked.map((b) => b.object)]);
    const stands = not.size === 0 ? wanted : wanted.filter((object) => !not.has(object));
    this.#stood = {
      network: scope.network ? stands : this.#stood.network,
      firewall: scope.firewall ? stands : this.#stood.firewall,
    };
  }

  /** How to find what stood, for so many questions: an index costs a walk over everything. */
  #finder(questions: number): (object: Obj) => Obj | undefined {
    const { network, firewall } = this.#stood;
    const among = ({ kind }: Obj) => isFirewall(kind) ? firewall : network;
    if (questions <= MOST_LINES) {
      return (object) => among(object).find((o) => o.key === object.key && o.kind === object.kind);
    }
    const [inNetwork, inFirewall] = [new ObjectIndex(network), new ObjectIndex(firewall)];
    return (object) => (isFirewall(object.kind) ? inFirewall : inNetwork).get(object);
  }
}

function inScope(kind: string, { scope }: Round): boolean {
  return isFirewall(kind) ? scope.firewall : scope.network;
}

function sameFields(a: Obj | undefined, b: Obj): boolean {
  return a !== undefined && JSON.stringify(a.fields) === JSON.stringify(b.fields);
}

function id(object: Obj): string {
  return `${object.kind} ${object.key}`;
}
