/**
 * The quick part of `deno task mutations`: the rows of docs/known-failures.md whose tests need nothing but themselves. With
 * the product broken where such a row is made good, its test must turn red.
 */
import { tierOf } from "../../tasks/tiers.ts";
import { rowMutations } from "../mutations/known_failures.ts";
import { mustFail } from "../support/mutant.ts";

const quick: ReadonlySet<string | undefined> = new Set(["unit", "golden", "faults"]);
/** Suites of the store tier that need no etcd. */
const inMemory: ReadonlySet<string> = new Set(["tests/store/etcd3_model_test.ts"]);

for (const mutation of rowMutations()) {
  if (quick.has(tierOf(mutation.test)?.name) || inMemory.has(mutation.test)) mustFail(mutation);
}
