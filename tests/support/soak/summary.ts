/** A soak's result as text for people. Pure. */
import { spread } from "../../../bench/statistics.ts";
import type { Result } from "./soak.ts";
import { memoryGrowth, mib } from "./trend.ts";

/** Lines: a table of the hosts, the faults, the changes, the verdict. */
export function summary(result: Result): string[] {
  return [...hostTable(result), ...faultTable(result), ...closing(result)];
}

function hostTable({ samples, lives, converged }: Result): string[] {
  const grown = new Map(memoryGrowth(samples).map((growth) => [growth.host, growth]));
  const rows = [...lives].map(([host, life]) => {
    const own = samples.filter((sample) => sample.host === host);
    const last = own.at(-1);
    const growth = grown.get(host);
    return [
      host,
      String(life),
      range(own.map(({ memory }) => memory / 1024)),
      growth === undefined ? "-" : `${growth.growth < 0 ? "" : "+"}${mib(growth.growth)}`,
      range(own.map(({ descriptors }) => descriptors)),
      range(own.map(({ threads }) => threads)),
      [last?.routes, last?.neighbours, last?.fdb, last?.nexthops].join("/"),
      String(last?.peers),
      String(converged.get(host) ?? "never"),
    ];
  });
  const head = [
    "host",
    "starts",
    "RSS MiB",
    "later half",
    "descriptors",
    "threads",
    "routes/neigh/FDB/nexthops",
    "peers",
    "converged ms",
  ];
  return aligned([head, ...rows]);
}

function range(values: readonly number[]): string {
  return values.length === 0 ? "-" : `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
}

function faultTable({ chaos }: Result): string[] {
  const rows = [...chaos.tally].map(([name, { struck, nothing }]) => [name, String(struck), String(nothing)]);
  const over = `${chaos.passedOver} faults were passed over (one at a time, and not for everybody)`;
  return ["", ...aligned([["fault", "struck", "nothing there"], ...rows]), over];
}

function closing({ churn, samples, converged, problems }: Result): string[] {
  const { put, changed, deleted, unsure } = churn;
  const grown = memoryGrowth(samples).map(({ growth }) => growth / 1024);
  return [
    "",
    `leases: ${put} put, ${changed} changed, ${deleted} deleted; ${unsure} times etcd did not confirm`,
    `memory over the later half, ${grown.length} daemons: ${
      grown.length > 0 ? spread(grown, "MiB", 1) : "-"
    }`,
    `converged: ${spread([...converged.values()], "ms", 0)}, ${converged.size} hosts`,
    ...problems.map((problem) => `FAILED ${problem}`),
    problems.length === 0 ? "all well" : `${problems.length} problems`,
  ];
}

/** Columns as wide as their widest cell, the first one to the left. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const cell = (text: string, i: number) => i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!);
  return rows.map((row) => row.map(cell).join("  "));
}
