/**
 * The test runner: `deno task test [TIER | FILE]... [--filter TEXT]`.
 *
 * Runs the tiers in order, each in its own deno process (those that touch the kernel: each file in its own), lists what was
 * skipped and why, and ends with `N passed, N failed` alone on its line. Fails when a test failed or none ran; with CI=true also
 * when a test was skipped, except for those that need real peers (DENIM_PEERS), which no build machine has.
 */
import { parseArgs } from "@std/cli";
import { capture, deno, inherit, projectFiles, say } from "./run.ts";
import { settle } from "./surroundings.ts";
import { add, closingLine, nothing, oneFailure, readJunit, readLines, type Tally } from "./tally.ts";
import { inNamespace, isTestFile, type Tier, tierOf, tiers } from "./tiers.ts";

interface Selection {
  readonly files: readonly string[];
  /** Tiers asked for by name or by default, shown also when they are empty. */
  readonly tiers: readonly Tier[];
  readonly native: boolean;
  readonly filter: string | undefined;
}

const known = [...tiers.map((tier) => tier.name), "native"];

async function select(args: readonly string[]): Promise<Selection> {
  const all = (await projectFiles()).filter(isTestFile);
  const { _: given, filter } = parseArgs(args, {
    string: ["filter", "_"],
    unknown: (word) => {
      if (word.startsWith("-")) refuse(word);
    },
  });
  const words = given.map((word) => String(word).replace(/^\.\//, ""));
  const unknown = words.find((word) => !known.includes(word) && !all.includes(word));
  if (unknown !== undefined) refuse(unknown);
  const chosen = tiers.filter((tier) => words.length > 0 ? words.includes(tier.name) : tier.always);
  const files = all.filter((file) => words.includes(file) || chosen.includes(tierOf(file)!));
  return {
    files,
    tiers: tiers.filter((tier) => chosen.includes(tier) || files.some((file) => tierOf(file) === tier)),
    native: words.includes("native") || (words.length === 0 && filter === undefined),
    filter,
  };
}

function refuse(word: string): never {
  say(`test: run "${word}": neither a test file nor a tier; give [TIER | FILE]... [--filter TEXT]`);
  say(`the tiers are ${known.join(", ")}`);
  Deno.exit(2);
}

async function runTier(tier: Tier, files: readonly string[], filter: string | undefined): Promise<Tally> {
  say(`\n== ${tier.name}: ${files.length === 0 ? "no tests" : `${files.length} files`}`);
  if (tier.root && Deno.uid() !== 0) {
    if (files.length > 0) say("not run: needs root");
    const skipped = files.map((file) => ({ file, name: "the whole file", reason: "needs root" }));
    return { ...nothing, skipped };
  }
  const groups = tier.process === "file" ? files.map((file) => [file]) : files.length > 0 ? [files] : [];
  let tally = nothing;
  for (const group of groups) tally = add(tally, await runFiles(tier, group, filter));
  return tally;
}

async function runFiles(tier: Tier, files: readonly string[], filter: string | undefined): Promise<Tally> {
  const report = Deno.makeTempFileSync({ prefix: "denim-test-", suffix: ".xml" });
  try {
    const sanitizers = ["--sanitize-ops", "--sanitize-resources"];
    const filters = filter === undefined ? [] : [`--filter=${filter}`];
    const options = ["-A", "--no-check", ...sanitizers, ...filters, `--junit-path=${report}`];
    const command = [deno, "test", ...options, ...files];
    const code = await inherit(tier.namespace ? inNamespace(command) : command, tier.minutes * 60_000);
    const seen = readJunit(Deno.readTextFileSync(report), files.length === 1 ? files[0] : undefined);
    // What a filter leaves out is reported like what is ignored; nobody wants to read that list.
    const tally = filter === undefined ? seen : { ...seen, skipped: [] };
    if (code === null) {
      return add(tally, oneFailure(`${files.join(" ")}: not done after ${tier.minutes} minutes`));
    }
    if (code === 0 || tally.failed > 0) return tally;
    return add(tally, oneFailure(`${files.join(" ")}: the process ended with code ${code}`));
  } finally {
    Deno.removeSync(report);
  }
}

async function runNative(): Promise<Tally> {
  say("\n== native: the C library's own tests");
  const { code, output } = await capture(["make", "--no-print-directory", "-C", "native", "test"]);
  say(output.trimEnd());
  return readLines(output, code);
}

/** Skips that count as failures: with CI=true all but those that need peers of another make. */
function unexcused(tally: Tally): Tally["skipped"] {
  if (Deno.env.get("CI") !== "true") return [];
  return tally.skipped.filter((skip) => !skip.reason.includes("DENIM_PEERS"));
}

async function main(): Promise<number> {
  settle();
  const { files, tiers, native, filter } = await select(Deno.args);
  let tally = nothing;
  for (const tier of tiers) {
    tally = add(tally, await runTier(tier, files.filter((file) => tierOf(file) === tier), filter));
  }
  if (native) tally = add(tally, await runNative());
  for (const skip of unexcused(tally)) {
    tally = add(tally, oneFailure(`${skip.file}: ${skip.name}: skipped, and CI=true allows no skips`));
  }
  const ran = tally.passed + tally.failed > 0;
  if (tally.skipped.length > 0) say("\nSkipped:");
  for (const skip of tally.skipped) say(`  ${skip.file}: ${skip.name} (${skip.reason})`);
  if (tally.failures.length > 0) say("\nFailed:");
  for (const failure of tally.failures) say(`  ${failure}`);
  say(ran ? "" : "\nNo test ran.");
  say(closingLine(tally));
  return ran && tally.failed === 0 ? 0 : 1;
}

Deno.exit(await main());
