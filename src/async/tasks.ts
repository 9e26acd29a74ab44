/** Running several endless tasks as one: the first that fails ends all, an abort ends all, and the failure comes out. */
import type { Clock, Random } from "../model/clock.ts";

export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Resolves once `signal` is aborted and every task has ended.
 *
 * @throws what the first failing task threw, after all others have ended
 */
export async function runTasks(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const all = AbortSignal.any([signal, failed.signal]);
  const failures: unknown[] = [];
  await Promise.all(tasks.map(async (task) => {
    try {
      await task(all);
    } catch (error) {
      if (all.aborted) return;
      failures.push(error);
      failed.abort();
    }
  }));
  if (failures.length > 0) throw failures[0];
}

/** Acts again and again, with up to a quarter of jitter between, until aborted. */
export async function every(
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  ms: number,
  action: () => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(ms + random.int(Math.max(1, Math.floor(ms / 4))), signal);
    action();
  }
}
