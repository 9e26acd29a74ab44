/**
 * `deno task bench [NAME...]`: measures, prints, judges nothing. Needs root; everything happens in namespaces of its own
 * (`enclosure.ts`) and is gone with them. How the figures are made stands in each benchmark's file.
 *
 * `--rounds N`, `--measures NAME,...` and `--json FILE` are for `udp`, `udp-peers` and `udp-queues`.
 */
import { parseArgs } from "@std/cli";
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
import { udp, type UdpOptions, udpPeers, udpQueues } from "./udp.ts";
import { udpLookup } from "./udp_lookup.ts";
import { MEASURES } from "./udp_measures.ts";

const benchmarks: Readonly<Record<string, (options: UdpOptions) => Promise<void>>> = {
  start,
  "cold-start": coldStart,
  propagation,
  repair,
  idle,
  footprint,
  round,
  udp,
  "udp-peers": udpPeers,
  "udp-queues": udpQueues,
  "udp-lookup": udpLookup,
};

/** As the arguments say; text: what is wrong with them. */
function readArguments(args: readonly string[]): { names: string[]; options: UdpOptions } | string {
  const wrong: string[] = [];
  const { _: words, rounds, measures, json } = parseArgs(args, {
    string: ["_", "rounds", "measures", "json"],
    default: { rounds: "7" },
    unknown: (arg, key) => key === undefined || (wrong.push(arg), false),
  });
  const names = words.map(String);
  const chosen = (measures ?? "").split(",").filter((name) => name !== "");
  const unknown = (kind: string, found: readonly string[], known: readonly string[]) =>
    found.filter((name) => !known.includes(name))
      .map((name) => `run ${kind} "${name}": there is none; there are ${known.join(", ")}`);
  const problems = [
    ...wrong.map((arg) => `read "${arg}": no such option; there are --rounds, --measures, --json`),
    ...unknown("benchmark", names, Object.keys(benchmarks)),
    ...unknown("measure", chosen, MEASURES.map(({ name }) => name)),
    ...json === undefined || names.length === 1
      ? []
      : [`keep the figures in "${json}": they are those of one benchmark; name one`],
    ...Number(rounds) >= 1 ? [] : [`make "${rounds}" rounds: not a positive number`],
  ];
  if (problems.length > 0) return problems[0]!;
  return { names, options: { rounds: Number(rounds), measures: chosen, json: json ?? null } };
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = readArguments(args);
  if (typeof wanted === "string") {
    say(`bench: ${wanted}`);
    return 2;
  }
  if (Deno.uid() !== 0) {
    say("bench: make network namespaces: not permitted; run it as root");
    return 1;
  }
  if (!enclosed()) return await enclose();
  for (const line of await describeMachine()) say(line);
  for (const name of wanted.names.length === 0 ? Object.keys(benchmarks) : wanted.names) {
    say(`${name} (${load()} before)`);
    await benchmarks[name]!(wanted.options);
  }
  return 0;
}

Deno.exit(await main(Deno.args));
