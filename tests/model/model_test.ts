/**
 * The rules of `src/model/identity.ts` under every order of events, in the scenarios that have few states; `deno task model` explores
 * them all. And that the model can fail: a rule taken away is seen in a scenario.
 */
import { assert, assertEquals } from "@std/assert";
import { explore } from "./explore.ts";
import { scenarios } from "./scenarios.ts";

/** Scenarios with more states are the task's. */
const MOST = 30_000;
/** Writes that may follow the last fault. */
const MOST_WRITES = 12;

for (const scenario of scenarios) {
  const { name, what } = scenario;
  Deno.test(`model: ${name}: ${what}`, () => {
    const { states, writes, failure } = explore(scenario, MOST);
    if (failure?.startsWith("more than")) return assert(states > MOST, "its size is the task's matter");
    assertEquals(failure, null);
    assert(writes <= MOST_WRITES, `${writes} writes after the last fault`);
  });
}
