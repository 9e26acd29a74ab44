/**
 * A long run of many hosts under random faults: `deno task soak [--minutes=60 | --hours=24 | --seconds=20] [--seed=N] [--hosts=20]
 * [--leases=2000] [--rate=10] [--every=2] [--etcd-api=v2] [--json FILE]`. What it does and judges: tests/support/soak/soak.ts.
 *
 * Needs root; everything happens in namespaces of its own and is gone with them. Ends with 0 where all is well, with 1 where
 * something was found, with 2 where it was told nonsense.
 */
import { parseArgs } from "@std/cli";
import { enclose, enclosed } from "../bench/enclosure.ts";
import { describeMachine, load } from "../bench/machine.ts";
import { MOST } from "../tests/support/soak/churn.ts";
import type { Api } from "../tests/support/soak/gateway.ts";
import { samplePeriod, type SoakOptions } from "../tests/support/soak/options.ts";
import { soak } from "../tests/support/soak/soak.ts";
import { summary } from "../tests/support/soak/summary.ts";
import { say } from "./run.ts";

const UNITS = { seconds: 1, minutes: 60, hours: 3600 } as const;
/** The most that an option may be. */
const LIMITS = {
  seconds: 1e6,
  minutes: 1e5,
  hours: 1e4,
  seed: 1e9,
  hosts: 100,
  leases: MOST,
  rate: 1000,
  every: 3600,
} as const;
type Name = keyof typeof LIMITS;

const names = Object.keys(LIMITS) as Name[];

/** As the arguments say; text: what is wrong with them. */
function readArguments(args: readonly string[]): SoakOptions | string {
  const wrong: string[] = [];
  const { _: words, json, "etcd-api": api = "v3", ...given } = parseArgs(args, {
    string: ["_", "json", "etcd-api", ...names],
    unknown: (arg) => (wrong.push(arg), false),
  });
  const unknown = [...wrong, ...words.map(String)][0];
  if (unknown !== undefined) {
    return `read "${unknown}": no such option; there are ${
      [...names, "etcd-api", "json"].map((n) => `--${n}`).join(", ")
    }`;
  }
  if (api !== "v2" && api !== "v3") return `read --etcd-api "${api}": neither v2 nor v3`;
  const values = new Map<Name, number>();
  for (const name of names) {
    const text = given[name];
    if (text === undefined) continue;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > LIMITS[name]) {
      return `read --${name} "${text}": not a whole number from 1 to ${LIMITS[name]}`;
    }
    values.set(name, value);
  }
  if (json === "") return 'read --json "": no path of a file';
  return optionsOf(values, api, json ?? null);
}

function optionsOf(values: ReadonlyMap<Name, number>, api: Api, json: string | null): SoakOptions | string {
  const units = Object.entries(UNITS).filter(([unit]) => values.has(unit as Name));
  if (units.length > 1) return `take ${units.map(([unit]) => `--${unit}`).join(" and ")}: give one of them`;
  const [unit, factor] = units[0] ?? ["minutes", 60];
  const seconds = (values.get(unit as Name) ?? 60) * factor;
  const hosts = values.get("hosts") ?? 20;
  if (hosts < 2) return `make "${hosts}" hosts: a network has at least 2`;
  return {
    hosts,
    leases: values.get("leases") ?? 2000,
    rate: values.get("rate") ?? 10,
    every: values.get("every") ?? 2,
    seed: values.get("seed") ?? crypto.getRandomValues(new Uint32Array(1))[0]! % LIMITS.seed,
    seconds,
    sample: samplePeriod(seconds),
    api,
    json,
  };
}

async function main(): Promise<number> {
  const options = readArguments(Deno.args);
  if (typeof options === "string") {
    say(`soak: ${options}`);
    return 2;
  }
  if (Deno.uid() !== 0) {
    say("soak: make network namespaces: not permitted; run it as root");
    return 1;
  }
  if (!enclosed()) return await enclose();
  for (const line of await describeMachine()) say(line);
  const { hosts, leases, rate, every, seconds, seed, api, json } = options;
  say(
    `${hosts} hosts on etcd ${api}, ${leases} further leases, ${rate} changes a second, a fault every ${every} s ` +
      `for ${seconds} s, seed ${seed} (${load()})`,
  );
  if (json !== null) await Deno.writeTextFile(json, JSON.stringify(options) + "\n");
  const result = await soak(options);
  for (const line of summary(result)) say(line);
  const { problems, churn, chaos } = result;
  if (json !== null) {
    const faults = Object.fromEntries(chaos.tally);
    await Deno.writeTextFile(json, JSON.stringify({ problems, churn, faults }) + "\n", { append: true });
  }
  return problems.length === 0 ? 0 : 1;
}

Deno.exit(await main());
