/**
 * Random schedules of faults on many hosts, with the real overlay and etcd client logic: what must never be never is, and
 * when the faults end every host comes to exactly the end that is right (tests/support/simulation/). A failing seed is
 * printed with everything that happened, and `deno task simulate SEED` shows it again. Longer: `deno task simulate
 * --schedules=30000`.
 */
import { assertEquals } from "@std/assert";
import { runSchedule } from "../support/simulation/schedule.ts";

const task = new URL("../../tasks/simulate.ts", import.meta.url).pathname;

Deno.test("3,000 schedules: nothing is lost, and every host ends as it must", async () => {
  const args = ["run", "-A", "--no-check", task, "--schedules=3000", "--jobs=2"];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn();
  assertEquals((await child.status).code, 0);
});

Deno.test("the same seed is the same run, line by line", async () => {
  for (const seed of [11, 12, 13, 14]) {
    const runs: string[][] = [[], []];
    for (const lines of runs) await runSchedule(seed, (line) => lines.push(line));
    assertEquals(runs[0], runs[1]);
  }
});
