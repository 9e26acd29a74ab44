/** Many schedules one after the other, and what became of them as one value. */
import { runSchedule } from "./schedule.ts";

export interface Failed {
  readonly seed: number;
  readonly failure: string;
}

export interface Summary {
  readonly schedules: number;
  readonly steps: number;
  /** How often what went wrong. */
  readonly faults: Readonly<Record<string, number>>;
  /** Milliseconds until all was well again: how many schedules took so long. */
  readonly healed: Readonly<Record<string, number>>;
  readonly failed: readonly Failed[];
}

export const none: Summary = { schedules: 0, steps: 0, faults: {}, healed: {}, failed: [] };

/** Runs the seeds from `first` on. `told` gets each failure at once. */
export async function runMany(
  first: number,
  count: number,
  told: (failed: Failed) => void,
): Promise<Summary> {
  const faults: Record<string, number> = {};
  const healed: Record<string, number> = {};
  const failed: Failed[] = [];
  let steps = 0;
  for (let seed = first; seed < first + count; seed++) {
    const outcome = await guarded(seed);
    steps += outcome.steps;
    for (const [name, times] of outcome.faults) faults[name] = (faults[name] ?? 0) + times;
    if (outcome.failure === null) healed[outcome.healedMs] = (healed[outcome.healedMs] ?? 0) + 1;
    else {
      failed.push({ seed, failure: outcome.failure });
      told(failed.at(-1)!);
    }
  }
  return { schedules: count, steps, faults, healed, failed };
}

/** What nobody caught counts as a failure of the schedule that runs. */
async function guarded(seed: number): ReturnType<typeof runSchedule> {
  let stray: string | null = null;
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    stray ??= `nobody caught: ${event.reason instanceof Error ? event.reason.stack : event.reason}`;
  };
  globalThis.addEventListener("unhandledrejection", listener);
  try {
    const outcome = await runSchedule(seed);
    return { ...outcome, failure: outcome.failure ?? stray };
  } finally {
    globalThis.removeEventListener("unhandledrejection", listener);
  }
}

export function add(a: Summary, b: Summary): Summary {
  return {
    schedules: a.schedules + b.schedules,
    steps: a.steps + b.steps,
    faults: addCounts(a.faults, b.faults),
    healed: addCounts(a.healed, b.healed),
    failed: [...a.failed, ...b.failed],
  };
}

function addCounts(a: Summary["faults"], b: Summary["faults"]): Record<string, number> {
  const sum: Record<string, number> = { ...a };
  for (const [name, times] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + times;
  return sum;
}

/** For people: one line of figures, then the faults by kind. */
export function describe({ schedules, steps, faults, healed, failed }: Summary): string[] {
  const kinds = Object.entries(faults).sort(([, a], [, b]) => b - a);
  const total = kinds.reduce((sum, [, times]) => sum + times, 0);
  return [
    `${schedules} schedules, ${steps} steps, ${total} faults of ${kinds.length} kinds, ${failed.length} failures`,
    `all well again after ${quantile(healed, 0.5)} s in half of them, ${quantile(healed, 0.99)} s in 99 %, ` +
    `${quantile(healed, 1)} s in all (simulated)`,
    ...kinds.map(([name, times]) => `${String(times).padStart(8)}  ${name}`),
  ];
}

/** Seconds after which this share was well again. */
function quantile(healed: Summary["healed"], share: number): number {
  const sorted = Object.entries(healed).map(([ms, times]) => [Number(ms), times] as const).sort(([a], [b]) =>
    a - b
  );
  let left = share * sorted.reduce((sum, [, times]) => sum + times, 0);
  for (const [ms, times] of sorted) if ((left -= times) <= 0) return ms / 1000;
  return 0;
}
