/** The mutations keep up with the product: whatever is to be broken is there, once, and so is the test that must see it. */
import { assert, assertEquals } from "@std/assert";
import type { Damage, Mutation } from "../support/mutant.ts";
import { mutations as faults } from "../mutations/faults.ts";
import { rowMutations } from "../mutations/known_failures.ts";
import { mutations as scenarios } from "../mutations/scenarios.ts";
import { mutations as simulation } from "../mutations/simulation.ts";
import { mutations as udp } from "../mutations/udp.ts";

const top = new URL("../../", import.meta.url).pathname;
const withTest: readonly Mutation[] = [...rowMutations(), ...scenarios, ...faults, ...udp];
const all: readonly (Damage & { readonly says: string })[] = [...withTest, ...simulation];

Deno.test("every line that a mutation breaks stands in its file, once", () => {
  const stray = all.flatMap(({ name, file, find }) => {
    const count = Deno.readTextFileSync(top + file).split(find).length - 1;
    return count === 1 ? [] : [`${name}: "${find}" stands ${count} times in ${file}`];
  });
  assertEquals(stray, []);
});

Deno.test("every mutation changes something, has a name of its own and knows what its failure says", () => {
  for (const { name, find, replace, says } of all) assert(find !== replace && says.length > 1, name);
  assertEquals(new Set(all.map(({ name }) => name)).size, all.length);
});

Deno.test("every test that must see a mutation is there", () => {
  for (const { name, test } of withTest) assert(Deno.statSync(top + test).isFile, name);
});
