/**
 * Whether something grows, from samples with outliers. Pure.
 *
 * - Memory, of daemons that lived through the later half of the run: the median of the slopes between all pairs of samples (Theil
 *   and Sen), times the length of that half. With 2,000 peers V8 lets its heap swing by 100 MiB within a minute or two, hence the bounds: one daemon
 *   may grow by `MEMORY_ONE`, the median of all by `MEMORY_ALL`, in half a run however long it is.
 * - Descriptors and threads, in every life long enough: what a daemon holds at the least in the last third of its life against the
 *   first third. Programs that it runs and connections that it changes come and go above that floor.
 */
import { median } from "../../../bench/statistics.ts";
import type { Sample } from "./sampler.ts";

/** KiB. */
export const MEMORY_ONE = 64 * 1024;
export const MEMORY_ALL = 24 * 1024;
/** Connections to etcd, which are none while it is out of reach: in its v2 API as many as four were seen. */
export const DESCRIPTORS = 4;
/** Deno's pool for files takes threads as it needs them and gives them back after 10 s. */
export const THREADS = 3;
/** Samples that a life must have, to be judged by thirds. */
const LIFE = 6;
/** Points that slopes are taken between: their number is a square. */
const POINTS = 400;

export interface Point {
  readonly at: number;
  readonly value: number;
}

/** The median of the slopes between all pairs, per unit of `at`; 0 for fewer than two points. */
export function slope(points: readonly Point[]): number {
  const few = thinned(points);
  const slopes = few.flatMap((a, i) => few.slice(i + 1).map((b) => (b.value - a.value) / (b.at - a.at)));
  return slopes.length === 0 ? 0 : median(slopes.filter(Number.isFinite));
}

/** Medians of equally many neighbours each. */
function thinned(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / POINTS);
  return Array.from({ length: Math.ceil(points.length / size) || 0 }, (_, i) => {
    const part = points.slice(i * size, (i + 1) * size);
    return { at: median(part.map(({ at }) => at)), value: median(part.map(({ value }) => value)) };
  });
}

/** By how much the median slope raises the value over the points' span. */
export function growth(points: readonly Point[]): number {
  return slope(points) * ((points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0));
}

/** The least of the last third less the least of the first third. */
export function floorRise(values: readonly number[]): number {
  const third = Math.ceil(values.length / 3);
  return Math.min(...values.slice(-third)) - Math.min(...values.slice(0, third));
}

/** Memory of one daemon over the later half of the run. */
export interface Growth {
  readonly host: string;
  /** KiB: the median of the half, and what the trend adds over it. */
  readonly memory: number;
  readonly growth: number;
}

/** Of the daemons that were there all through the later half. */
export function memoryGrowth(samples: readonly Sample[]): Growth[] {
  const end = Math.max(...samples.map(({ at }) => at));
  const moments = new Set(samples.map(({ at }) => at).filter((at) => at >= end / 2)).size;
  return lives(samples.filter(({ at }) => at >= end / 2)).filter((life) => life.length >= 0.9 * moments)
    .map((life) => ({
      host: life[0]!.host,
      memory: median(life.map(({ memory }) => memory)),
      growth: growth(life.map(({ at, memory }) => ({ at, value: memory }))),
    }));
}

/** What grew more than it may; one sentence each. */
export function growthProblems(samples: readonly Sample[]): string[] {
  const grown = memoryGrowth(samples);
  const all = median(grown.map(({ growth }) => growth));
  return [
    ...(grown.length === 0 ? ["memory: no daemon lived long enough to be judged"] : []),
    ...grown.filter(({ growth }) => growth > MEMORY_ONE)
      .map(({ host, growth }) =>
        `memory of ${host} grew by ${mib(growth)} MiB, more than ${mib(MEMORY_ONE)}`
      ),
    ...(all > MEMORY_ALL
      ? [`memory grew by ${mib(all)} MiB in the median, more than ${mib(MEMORY_ALL)}`]
      : []),
    ...lives(samples).filter((life) => life.length >= LIFE).flatMap((life) => [
      ...rise(life, "descriptors", DESCRIPTORS),
      ...rise(life, "threads", THREADS),
    ]),
  ];
}

function rise(life: readonly Sample[], what: "descriptors" | "threads", bound: number): string[] {
  const values = life.map((sample) => sample[what]);
  const risen = floorRise(values);
  if (risen <= bound) return [];
  const { host, life: number } = life[0]!;
  return [`${what} of ${host}'s daemon ${number} rose by ${risen}, more than ${bound}: ${values.join(" ")}`];
}

/** The samples of one daemon each. */
function lives(samples: readonly Sample[]): Sample[][] {
  return [...Map.groupBy(samples, ({ host, life }) => `${host} ${life}`).values()];
}

export function mib(kib: number): string {
  return (kib / 1024).toFixed(1);
}
