/**
 * What it costs the `udp` backend's packet threads to look a peer up, by number of peers: nanoseconds a packet, for random
 * addresses, of the library's own table in a C program built as the library is (native/bench/lookup.c). Out: whose is the
 * destination? In: does the datagram's source have that inner source?
 */
import { output, say } from "../tests/support/process.ts";
import { median, spread } from "./statistics.ts";

const NATIVE = new URL("../native", import.meta.url).pathname;

interface Figure {
  readonly family: number;
  readonly way: "in" | "out";
  readonly peers: number;
  readonly ns: number;
}

export async function udpLookup(): Promise<void> {
  await run(["make", "--silent", "--no-print-directory", "-C", NATIVE, "bench"]);
  const lines = (await run([`${NATIVE}/build/bench/lookup`])).trim().split("\n");
  const figures = lines.map((line) => JSON.parse(line) as Figure);
  for (const way of ["out", "in"] as const) {
    for (const family of [4, 6]) report(figures.filter((f) => f.way === way && f.family === family));
  }
}

function report(figures: readonly Figure[]): void {
  const [{ family, way }] = figures as [Figure];
  const by = Map.groupBy(figures, ({ peers }) => peers);
  const [least] = by.values();
  const base = median(least!.map(({ ns }) => ns));
  for (const [peers, of] of by) {
    const times = of.map(({ ns }) => ns);
    const factor = (median(times) / base).toFixed(2);
    say(`  IPv${family} ${way}, ${peers} peers: ${spread(times, "ns", 1)} a packet, ${factor} x`);
  }
}

async function run(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await output(command);
  if (code !== 0) throw new Error(`run ${command.join(" ")}: exit code ${code}\n${stderr}`);
  return stdout;
}
