/**
 * Parsers under random and under long input.
 *
 * Each target runs a few hundred cases from a fixed seed, so that the suite says the same of the same code each time. What hunts
 * further is asked for: SECONDS makes a target go on for so long from a random seed, which is printed; FUZZ_SEED says which.
 * fast-check shrinks what fails and prints it.
 */
import { assert } from "@std/assert";
import fc from "fast-check";
import { Failure, messageOf } from "../../src/model/errors.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { say } from "../../tasks/run.ts";

const RUNS = 600;
const FIXED_SEED = 1;
/** Milliseconds for one input of ten megabytes: linear time is far below on a busy machine, too, anything else far above. */
const LIMIT_MS = 30_000;
/** For a short run with its shrinking, which can take longer than anybody waits; what has failed till then is told. */
const PATIENCE_MS = 5_000;
const MEGABYTES = [1, 10];

const seed = Number(Deno.env.get("FUZZ_SEED") ?? systemRandom.int(2 ** 31));
const seconds = Number(Deno.env.get("SECONDS") ?? 0);

/** Registers a property as a target. */
export function fuzz<T>(name: string, input: fc.Arbitrary<T>, check: (value: T) => unknown): void {
  const again = async (value: T) => {
    await check(value);
  };
  Deno.test(`fuzz: ${name}`, async () => {
    const property = fc.asyncProperty(input, again);
    const short = { numRuns: RUNS, interruptAfterTimeLimit: PATIENCE_MS };
    await fc.assert(property, { seed: FIXED_SEED, ...short });
    if (seconds === 0) return;
    say(`seed ${seed}`);
    const interruptAfterTimeLimit = seconds * 1000;
    await fc.assert(property, { seed, numRuns: 2 ** 31, interruptAfterTimeLimit });
  });
}

/** Text that a parser nearly takes: its own words in any order, mixed with anything. */
export function soup(words: readonly string[], anything: fc.Arbitrary<string> = noise): fc.Arbitrary<string> {
  const part = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...words) }, {
    weight: 1,
    arbitrary: anything,
  });
  return fc.oneof(
    { weight: 4, arbitrary: fc.array(part, { maxLength: 40 }).map((parts) => parts.join("")) },
    { weight: 1, arbitrary: anything },
  );
}

/** Characters of all kinds, halves of surrogate pairs and controls among them. */
export const noise = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }).map((codes) =>
    String.fromCharCode(...codes)
  ),
);

/** What `parse` makes of it; null where it refuses with a Failure, whose message must be short. */
export function orFailure<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch (thrown) {
    assert(thrown instanceof Failure, `not a Failure: ${thrown instanceof Error ? thrown.stack : thrown}`);
    assert(messageOf(thrown).length < 1000, `a message of ${messageOf(thrown).length} characters`);
    return null;
  }
}

/** Registers inputs of 1 and 10 MB, each made of a repeated part, that `parse` has to be through with in no time. */
export function long(
  name: string,
  shapes: Readonly<Record<string, readonly [before: string, repeated: string, after: string]>>,
  parse: (text: string) => unknown,
): void {
  for (const [shape, [before, repeated, after]] of Object.entries(shapes)) {
    Deno.test(`fuzz: ${name}: megabytes of ${shape}`, async () => {
      for (const size of MEGABYTES) {
        const text = before + repeated.repeat(Math.ceil(size * 1e6 / repeated.length)) + after;
        const start = systemClock().boot();
        await parse(text);
        const took = systemClock().boot() - start;
        assert(took < LIMIT_MS, `${size} MB took ${Math.round(took)} ms`);
      }
    });
  }
}
