/**
 * The contract of a driver: it knows how one or several kinds of objects look in the kernel. It reads what stands, says whose
 * that is, and applies operations. It takes no decisions, remembers no wishes, and never touches what it was not told to.
 *
 * Several kinds belong to one driver where they are applied together: the chains of a table and the jumps to them go
 * through one restore. `linux.ts` composes drivers into a `Kernel`.
 */
import type { Kind } from "../model/objects.ts";
import type { KindRules, Observed, OperationOn, Outcome } from "../model/plan.ts";
import type { Owner } from "../model/owner.ts";
import type { Scope } from "../model/plan.ts";
import type { LinkTable } from "./link_table.ts";

/** The devices as they are at this moment; read at the first call, then the same until links are changed. */
export type LinkSource = () => Promise<LinkTable>;

/** @typeParam K the kinds that it owns */
export interface Driver<K extends Kind = Kind> {
  /** One entry for each kind that the driver owns. */
  readonly rules: readonly KindRules<K>[];
  /** Which part of a `Scope` it answers to. */
  readonly scope: keyof Scope;
  /**
   * Ours, adoptable, lookalike, and foreign objects that could be in our way; all of them or none.
   *
   * @throws Failure where the answer would be incomplete
   */
  read(owner: Owner, links: LinkSource): Promise<Observed[]>;
  /**
   * Applies operations of the driver's kinds in their order: makes and changes come before deletions. One outcome per
   * operation, in their order; a failing one does not stop the next. Never rejects for a single operation's sake.
   */
  apply(operations: readonly OperationOn<K>[], links: LinkSource): Promise<Outcome[]>;
}
