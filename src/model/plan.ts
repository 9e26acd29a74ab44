/**
 * A plan: the difference between what should stand and what does, as a value. The loop applies it, `--read-only` and the
 * verb `plan` print it, golden tests compare it. It is made by `src/plan/diff.ts` alone.
 */
import type { FieldName, Kind, Obj, ObjectOf } from "./objects.ts";

/**
 * Whose an observed object is:
 * - `ours`: carries our mark. May be changed and deleted.
 * - `adoptable`: exactly what upstream writes for this network; nobody else would. Taken over in place, prunable.
 * - `lookalike`: could be upstream's or an administrator's. Taken over only where it already is what we want but for its
 *   marks, never deleted.
 * - `foreign`: never touched; reported where it is in the way.
 */
export type Standing = "ours" | "adoptable" | "lookalike" | "foreign";

/** What is read and planned at a time: netlink objects, the firewall, or both. */
export interface Scope {
  readonly network: boolean;
  readonly firewall: boolean;
}

export const everything: Scope = { network: true, firewall: true };
export const networkAlone: Scope = { network: true, firewall: false };
export const firewallAlone: Scope = { network: false, firewall: true };

export type ObservedOf<K extends Kind> = ObjectOf<K> & { readonly standing: Standing };
export type Observed = { [K in Kind]: ObservedOf<K> }[Kind];

/** One object that somebody changed, ourselves included. */
export interface Told {
  readonly kind: Kind;
  readonly key: string;
  /** As it stands now; null where it is gone, or is nobody's business here; of a link where it is down. */
  readonly now: Observed | null;
  /** As it was when it went, as far as the kernel said. */
  readonly was?: Obj;
  /** It has taken the place of what stood there. */
  readonly replaces: boolean;
}

export type Verb = "create" | "modify" | "recreate" | "delete";

export interface Operation {
  readonly verb: Verb;
  /** The desired object; for `delete` the observed one. */
  readonly object: Obj;
  /** What stands now: for modify, recreate and delete. */
  readonly before?: Observed;
}

/** An operation on an object of one kind, or of several. */
export interface OperationOn<K extends Kind> {
  readonly verb: Verb;
  readonly object: ObjectOf<K>;
  readonly before?: ObservedOf<K>;
}

export function isOn<K extends Kind>(operation: OperationOn<Kind>, kind: K): operation is OperationOn<K> {
  return operation.object.kind === kind;
}

/** A desired object whose place is taken by something that is not ours. */
export interface Blocked {
  readonly object: Obj;
  readonly by: Observed;
}

export interface Plan {
  /** In the order of application: makes and changes first, then deletions. */
  readonly operations: readonly Operation[];
  readonly blocked: readonly Blocked[];
  /** Deletions that wait for the first whole snapshot of the store, or for a second look at a suspicious one. */
  readonly withheld: readonly Operation[];
  readonly unchanged: number;
}

/** What became of one operation; `error` is null where it took effect (a deletion of something absent did). */
export interface Outcome {
  readonly operation: Operation;
  readonly error: string | null;
}

/** What the diff must know of a kind. Pure; each driver has one. */
export interface KindRules<K extends Kind = Kind> {
  readonly kind: K;
  /** Fields that only say whose an object is: a lookalike may differ in these. */
  readonly marks: readonly FieldName[];
  /** True where the kernel refuses the change in place, so that the object has to be deleted and made anew. */
  needsRecreate(desired: ObjectOf<K>, observed: ObjectOf<K>): boolean;
  /** One line for people, in the words of the tool that shows the object (`ip`, `bridge`, `iptables`). */
  print(object: ObjectOf<K>): string;
}
