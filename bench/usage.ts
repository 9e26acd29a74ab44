/** What a process has used, from /proc. */

export interface CpuTime {
  /** Seconds in user space and in the kernel, of the process and of its children that have ended. */
  readonly user: number;
  readonly system: number;
}

/** USER_HZ: the unit of times in /proc/PID/stat, on every architecture that Deno runs on. */
const TICKS = 100;

/** proc(5): utime, stime, cutime, cstime are fields 14 to 17; the name in parentheses may contain anything. */
export function cpuTime(pid: number): CpuTime {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number);
  return { user: (utime + cutime) / TICKS, system: (stime + cstime) / TICKS };
}

export function cpuSeconds(pid: number): number {
  const { user, system } = cpuTime(pid);
  return user + system;
}

/** Resident memory in MB (10^6 bytes): now, and the most there ever was. */
export function memory(pid: number): { readonly now: number; readonly peak: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1]) * 1.024e-3;
  return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}

/** Anonymous and changed pages in MB (10^6 bytes): what no other process shares and no file holds. */
export function privateMemory(pid: number): number {
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(/^Private_Dirty:\s*(\d+)/m.exec(rollup)?.[1]) * 1.024e-3;
}
