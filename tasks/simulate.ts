/**
 * The simulation as a task: `deno task simulate [--schedules=N] [--seed=N] [--jobs=N]`, or with a seed alone that schedule
 * again, with every line of what happens.
 *
 * Schedules are shared among processes; each prints a failing seed at once. Ends with code 1 where one failed.
 */
import { parseArgs } from "@std/cli";
import { add, describe, none, runMany, type Summary } from "../tests/support/simulation/many.ts";
import { runSchedule } from "../tests/support/simulation/schedule.ts";
import { deno, say } from "./run.ts";

/** Seeds that a process takes at a time. */
const CHUNK = 500;

async function main(): Promise<number> {
  const options = { string: ["schedules", "seed", "jobs", "_"], boolean: ["part"] } as const;
  const { _: [replayed], schedules = "2000", seed = "1", jobs, part } = parseArgs(Deno.args, options);
  if (replayed !== undefined) return await replay(number("SEED", String(replayed)));
  const [first, count] = [number("--seed", seed), number("--schedules", schedules)];
  if (part) return await runPart(first, count);
  const summary = await share(first, count, number("--jobs", jobs ?? String(navigator.hardwareConcurrency)));
  for (const line of describe(summary)) say(line);
  const [worst] = [...summary.failed].sort((a, b) => a.seed - b.seed);
  if (worst === undefined) return 0;
  say(`\nseed ${worst.seed} again, as deno task simulate ${worst.seed} shows it:`);
  await replay(worst.seed);
  return 1;
}

function number(name: string, text: string): number {
  if (/^\d{1,12}$/.test(text)) return Number(text);
  say(`simulate ${name} "${text}": not a whole number; give one like 1000`);
  Deno.exit(2);
}

async function replay(seed: number): Promise<number> {
  const { failure } = await runSchedule(seed, say);
  say(failure === null ? `seed ${seed}: all well` : `seed ${seed} failed: ${failure}`);
  return failure === null ? 0 : 1;
}

/** The schedules of one process; its last line is the summary. */
async function runPart(first: number, count: number): Promise<number> {
  const summary = await runMany(first, count, ({ seed, failure }) => say(`seed ${seed} failed: ${failure}`));
  say(JSON.stringify(summary));
  return 0;
}

async function share(first: number, count: number, jobs: number): Promise<Summary> {
  let next = first;
  let summary = none;
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, async () => {
    while (next < first + count) {
      const from = next;
      next += CHUNK;
      const done = await part(from, Math.min(CHUNK, first + count - from));
      summary = add(summary, done);
    }
  }));
  return summary;
}

/** Runs `count` schedules in a process of their own. */
async function part(first: number, count: number): Promise<Summary> {
  const args = [
    "run",
    "-A",
    "--no-check",
    import.meta.filename!,
    "--part",
    `--seed=${first}`,
    `--schedules=${count}`,
  ];
  const { stdout, code } = await new Deno.Command(deno, { args, stderr: "inherit", stdin: "null" }).output();
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  const last = lines.pop() ?? "";
  for (const line of lines) if (line !== "") say(line);
  if (code === 0 && last.startsWith("{")) return JSON.parse(last) as Summary;
  const failure = `the process of seeds ${first} to ${first + count - 1} ended with code ${code}: ${last}`;
  return { ...none, schedules: count, failed: [{ seed: first, failure }] };
}

Deno.exit(await main());
