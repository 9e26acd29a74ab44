/**
 * docs/known-failures.md, row by row: a line of the product that makes good what flannel breaks at, and how it is broken here.
 * The test that the row names must turn red; where the row claims more than one test sees, another one is named beside.
 *
 * `tests/unit/known_failures_test.ts` holds page and table against each other.
 */
import type { Damage, Mutation } from "../support/mutant.ts";
import { ofHosts } from "./rows_host.ts";
import { ofStores } from "./rows_store.ts";

export interface RowDamage extends Damage {
  /** Of the page. */
  readonly row: number;
  /** Where the page names a suite: the file that runs it. */
  readonly runs?: string;
  /** Another test than the one that the page names. */
  readonly test?: string;
  readonly filter?: string;
  readonly says: string;
}

/** The test that a row names. */
export interface Shown {
  readonly row: number;
  readonly test: string;
  readonly filter: string;
}

const page = new URL("../../docs/known-failures.md", import.meta.url).pathname;

/** The cells of each row of the page: number, what breaks, what becomes of it, the test. */
export function pageRows(text: string = Deno.readTextFileSync(page)): string[][] {
  return text.split("\n").filter((line) => /^\| +\d+ /.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** The tests that the page names, row by row; rows without one are left out. */
export function shown(rows: readonly string[][] = pageRows()): Shown[] {
  return rows.flatMap(([row, , , cell = ""]) => {
    const [, test, filter] = /^`(tests\/\S+\.ts): (.+)`$/.exec(cell) ?? [];
    return test === undefined || filter === undefined ? [] : [{ row: Number(row), test, filter }];
  });
}

export const damages: readonly RowDamage[] = [...ofStores, ...ofHosts].sort((a, b) => a.row - b.row);

/** Every damage with the test that has to see it. */
export function rowMutations(): Mutation[] {
  const byRow = new Map(shown().map((each) => [each.row, each]));
  return damages.flatMap((damage) => {
    const named = byRow.get(damage.row);
    const test = damage.test ?? damage.runs ?? named?.test;
    const filter = damage.filter ?? named?.filter;
    if (test === undefined || filter === undefined) return [];
    return [{ ...damage, name: `row ${damage.row}: ${damage.name}`, test, filter }];
  });
}
