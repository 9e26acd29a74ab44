/** What a round of the control loop costs without the kernel: `round_bench.ts` under `deno bench`. */
import { run, say } from "../tests/support/process.ts";

export async function round(): Promise<void> {
  const file = new URL("round_bench.ts", import.meta.url).pathname;
  const json = await run([Deno.execPath(), "bench", "-A", "--no-check", "--json", file]);
  for (const { name, results } of (JSON.parse(json) as { benches: Bench[] }).benches) {
    const { ok } = results[0]!;
    if (ok) {
      say(
        `  ${name}: p75 ${(ok.p75 / 1e6).toFixed(2)} ms, mean ${(ok.avg / 1e6).toFixed(2)} ms, ${ok.n} times`,
      );
    }
  }
}

/** Of `deno bench --json`; times in nanoseconds. */
interface Bench {
  readonly name: string;
  readonly results: readonly { readonly ok?: { n: number; avg: number; p75: number } }[];
}
