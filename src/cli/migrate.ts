/**
 * `flanneld migrate`: copies a network from one of etcd's APIs to the other. It says what it would do; with `--apply` it does it.
 * It can be repeated at any time, and never overwrites anything.
 */
import type { Instant } from "../model/clock.ts";
import { Failure, UsageError } from "../model/errors.ts";
import { describeSubnets, type Lease } from "../model/lease.ts";
import type { SideName } from "../store/etcd/side.ts";
import { hostOf } from "../store/host_name.ts";
import type { MigrationPlan } from "../store/etcd/migration.ts";
import { readFile } from "./config_file.ts";
import { explained, storeDeps } from "./config/set.ts";
import { etcdFlags } from "./open_store.ts";
import type { DaemonOptions } from "./options.ts";
import { quotedWord } from "./hide.ts";
import { readDaemonOptions } from "./read_options.ts";
import type { VerbIo } from "./verb.ts";
import { takeFlags } from "./verb_flags.ts";

export const help = `Usage: flanneld migrate --from=v2 --to=v3 [--apply] [OPTION]...
       flanneld migrate --from=v3 --to=v2 [--apply] [OPTION]...

Copies the network configuration and all leases, with the time they have left, from one API of etcd to the other. What is
there already stays; where the two sides contradict each other nothing is written. The options are the daemon's:
-etcd-endpoints, -etcd-prefix, -etcd-cafile ...

  --apply  write; without it, only say what would be written

Exit codes: 0 done or nothing to do, 1 refused or failed, 2 wrong usage.
`;

interface Words {
  readonly from: SideName;
  readonly to: SideName;
  readonly apply: boolean;
  readonly options: DaemonOptions;
}

/** @throws UsageError; Failure where a side can't be read or written, or the two contradict each other */
export async function run(io: VerbIo): Promise<number> {
  const words = readWords(io);
  for (const warning of words.options.warnings) io.err(`${warning}\n`);
  await migrate(words, io).catch(explained);
  return 0;
}

async function migrate({ from, to, apply, options }: Words, io: VerbIo): Promise<void> {
  const [{ openSide }, { applyMigration, planMigration, readSide }] = await Promise.all([
    import("../store/etcd/side.ts"),
    import("../store/etcd/migration.ts"),
  ]);
  const deps = storeDeps(io);
  const flags = { ...etcdFlags(options), ...deps };
  await using source = await openSide(from, flags);
  await using target = await openSide(to, flags);
  const [here, there] = [await readSide(source), await readSide(target)];
  const now = deps.clock.boot();
  const plan = planMigration(here, there, now);
  for (const note of plan.notes) io.err(`note: ${note}\n`);
  if (plan.conflicts.length > 0) throw refused(plan, from, to);
  io.out(describe(plan, to, there.key, now));
  if (apply) await applyMigration(plan, target);
  io.out(closing(plan, apply));
}

function refused({ conflicts }: MigrationPlan, from: SideName, to: SideName): Failure {
  const list = conflicts.map((conflict) => `\n  ${conflict}`).join("");
  return new Failure(`migrate from ${from} to ${to}: nothing was written, correct one side first:${list}`);
}

/** A line for everything that would be written or is there. */
function describe(plan: MigrationPlan, to: SideName, key: string, now: Instant): string {
  const config = plan.config === null ? `is in ${to} already` : `to ${to}`;
  const lines = [
    `configuration ${key}: ${config}`,
    ...plan.kept.map((lease) => `${nameOf(lease)}: is in ${to} already`),
    ...plan.steps.map(({ type, lease }) => {
      const what = type === "create" ? `to ${to}` : `is in ${to}, gets more time`;
      return `${nameOf(lease)}: ${what}, ${timeLeft(lease, now)}`;
    }),
  ];
  return lines.join("\n") + "\n";
}

function closing({ config, steps }: MigrationPlan, apply: boolean): string {
  const count = steps.length + (config === null ? 0 : 1);
  if (count === 0) return "nothing to do\n";
  return apply ? `done: ${count} written\n` : `nothing was written; --apply writes these ${count}\n`;
}

function nameOf({ subnets, record }: Lease): string {
  return `${describeSubnets(subnets)} of ${hostOf(record)}`;
}

function timeLeft({ expires }: Lease, now: Instant): string {
  if (expires === null) return "a reservation";
  const minutes = Math.floor((expires - now) / 60_000);
  return `${Math.floor(minutes / 60)}h${minutes % 60}m left`;
}

const own = { from: "value", to: "value", apply: "switch" } as const;

function readWords({ args, environment }: VerbIo): Words {
  const { values, on, rest } = takeFlags("migrate", args, own);
  const options = readDaemonOptions({ args: rest, environment, readFile, ownFlags: Object.keys(own) });
  const [from, to] = [side("from", values.get("from")), side("to", values.get("to"))];
  if (from === to) {
    throw new UsageError(`migrate --to "${to}": the same as --from; give --from=v2 --to=v3, or the reverse`);
  }
  return { from, to, apply: on.has("apply"), options };
}

function side(flag: "from" | "to", word: string | undefined): SideName {
  if (word === "v2" || word === "v3") return word;
  const what = word === undefined ? "not given" : `${quotedWord(word)}: not one of etcd's APIs`;
  throw new UsageError(`migrate --${flag} ${what}; give --from=v2 --to=v3, or the reverse`);
}
