/** Medians, percentiles and the printing of figures. Pure. */

/** The value below which `share` (0 to 1) of the values lie: the nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** Of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** `0.812 s (0.790-0.910)`: the median and the extremes. */
export function spread(values: readonly number[], unit: string, digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(digits)} ${unit} (${least.toFixed(digits)}-${most.toFixed(digits)})`;
}

/** `p50 60.1 ms, p99 81.0 ms, most 90.2 ms`. */
export function tail(milliseconds: readonly number[]): string {
  const text = (ms: number) => `${ms.toFixed(1)} ms`;
  const [p50, p99] = [percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)];
  return `p50 ${text(p50)}, p99 ${text(p99)}, most ${text(Math.max(...milliseconds))}`;
}
