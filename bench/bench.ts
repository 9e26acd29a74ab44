/**
 * `deno task bench [NAME...]`: measures, prints, judges nothing. Needs root; everything happens in namespaces of its own
 * (`enclosure.ts`) and is gone with them. How the figures are made stands in each benchmark's file.
 */
import { say } from "../tests/support/process.ts";
import { coldStart } from "./cold_start.ts";
import { enclose, enclosed } from "./enclosure.ts";
import { footprint } from "./footprint.ts";
import { idle } from "./idle.ts";
import { describeMachine, load } from "./machine.ts";
import { propagation } from "./propagation.ts";
import { repair } from "./repair.ts";
import { round } from "./round.ts";
import { start } from "./start.ts";
import { udpLookup } from "./udp_lookup.ts";

const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  start,
  "cold-start": coldStart,
  propagation,
  repair,
  idle,
  footprint,
  round,
  "udp-lookup": udpLookup,
};

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !(name in benchmarks));
  if (unknown.length > 0) {
    say(
      `bench: run "${unknown.join(" ")}": no such benchmark; there are ${Object.keys(benchmarks).join(", ")}`,
    );
    return 2;
  }
  if (Deno.uid() !== 0) {
    say("bench: make network namespaces: not permitted; run it as root");
    return 1;
  }
  if (!enclosed()) return await enclose();
  for (const line of await describeMachine()) say(line);
  for (const name of names.length === 0 ? Object.keys(benchmarks) : names) {
    say(`${name} (${load()} before)`);
    await benchmarks[name]!();
  }
  return 0;
}

Deno.exit(await main(Deno.args));
