/** On what the figures were measured. */
import { output } from "../tests/support/process.ts";

/** A line each: processors, kernel, versions. */
export async function describeMachine(): Promise<string[]> {
  const cpus = await Deno.readTextFile("/proc/cpuinfo");
  const model = /^model name\s*:\s*(.*)$/m.exec(cpus)?.[1] ?? Deno.build.arch;
  const memory = Math.round(Deno.systemMemoryInfo().total / 1e9);
  const etcd = (await output(["etcd", "--version"])).stdout.split("\n")[0] ?? "";
  return [
    `machine: ${navigator.hardwareConcurrency} cores (${model}), ${memory} GB`,
    `Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}, ${etcd.replace("Version: ", "")}`,
  ];
}

/** `load 0.31`: how much else was going on in the last minute. */
export function load(): string {
  return `load ${Deno.loadavg()[0]!.toFixed(2)}`;
}
