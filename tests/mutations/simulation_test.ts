/** Every mutation of `simulation.ts`: some schedule must see it, and say what is meant. */
import type { runSchedule } from "../support/simulation/schedule.ts";
import { plant } from "../support/mutant.ts";
import { mutations } from "./simulation.ts";

const PARTS = ["deno.json", "deno.lock", "src", "ffi", "tests"];
/** Most schedules that it may take. */
const MOST = 3_000;

for (const mutation of mutations) {
  Deno.test(`mutation: ${mutation.name}: the simulation finds it`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "denim-mutant-" });
    try {
      await plant(directory, mutation, PARTS);
      const mutant: { runSchedule: typeof runSchedule } = await import(
        `${directory}/tests/support/simulation/schedule.ts`
      );
      const seen = await firstFailure(mutant.runSchedule);
      if (seen === null) throw new Error(`${MOST} schedules do not see the damage`);
      if (!seen.includes(mutation.says)) {
        throw new Error(`the first schedule that fails has no word of "${mutation.says}": ${seen}`);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

async function firstFailure(run: typeof runSchedule): Promise<string | null> {
  for (let seed = 1; seed <= MOST; seed++) {
    const { failure } = await run(seed);
    if (failure !== null) return `seed ${seed}: ${failure}`;
  }
  return null;
}
