/** What a process holds: for tests that it does not hold more and more. */
import type { Process } from "./process.ts";

export interface Vitals {
  /** Resident, in KiB. */
  readonly memory: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** @throws Deno.errors.NotFound where it has ended */
export async function vitals({ pid }: Process): Promise<Vitals> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const number = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1]);
  const descriptors = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  return { memory: number("VmRSS"), descriptors, threads: number("Threads") };
}
