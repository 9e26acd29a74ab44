/** How long something took or lasted, for people. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Two units at most, of milliseconds: `340 ms`, `12 s`, `3 m 12 s`, `2 h 5 m`, `3 d 4 h`. */
export function describeDuration(milliseconds: number): string {
  const ms = Math.max(0, Math.round(milliseconds));
  const whole = (unit: number) => Math.floor(ms / unit);
  if (ms < SECOND) return `${ms} ms`;
  if (ms < MINUTE) return `${whole(SECOND)} s`;
  if (ms < HOUR) return `${whole(MINUTE)} m ${whole(SECOND) % 60} s`;
  if (ms < DAY) return `${whole(HOUR)} h ${whole(MINUTE) % 60} m`;
  return `${whole(DAY)} d ${whole(HOUR) % 24} h`;
}
