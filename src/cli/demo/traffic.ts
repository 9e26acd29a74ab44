/** The demo's traffic: who reaches whom, and how fast. */
import type { Clock } from "../../model/clock.ts";
import { Failure } from "../../model/errors.ts";
import { run, startProgram } from "../../system/exec.ts";
import { inside, mustInside, type Node, refuseMissing } from "./lab.ts";

export type Container = Node & { readonly address: string };

/** Milliseconds of one ping from every row to every column; `lost` where none came back. */
export async function pingMatrix(containers: readonly Container[]): Promise<string> {
  const rows = await Promise.all(
    containers.map(async (
      from,
    ) => [from.address, ...await Promise.all(containers.map((to) => ping(from, to)))]),
  );
  const head = ["from \\ to", ...containers.map((c) => c.address)];
  return [head, ...rows].map((row) => row.map((cell) => cell.padEnd(14)).join("").trimEnd()).join("\n");
}

/** Gbit/s of one TCP stream over two seconds. */
export async function throughput(from: Container, to: Container, clock: Clock): Promise<string> {
  const [program, ...args] = inside(to, "iperf3", "-s", "-1", "-B", to.address);
  const server = startProgram(program, { args, stdin: "null", stdout: "null", stderr: "null" });
  await listening(to, clock);
  const report = await mustInside(from, "iperf3", "-c", to.address, "-t", "2", "-J");
  await server.status;
  const bits =
    (JSON.parse(report) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received;
  return (bits.bits_per_second / 1e9).toFixed(1);
}

async function ping(from: Container, to: Container): Promise<string> {
  const [program, ...args] = inside(from, "ping", "-c", "1", "-W", "2", to.address);
  const { code, stdout, stderr } = await run(program, args);
  // ping itself exits 0 or 1; anything else is nsenter saying that there is no ping.
  if (code > 1) {
    refuseMissing(stderr);
    throw new Failure(
      `ping ${to.address} from ${from.name}: ${stderr.trim()}; run it again`,
    );
  }
  const time = /time=([\d.]+)/.exec(stdout)?.[1];
  return time === undefined ? "lost" : `${time} ms`;
}

/** Resolves when iperf3's port (5201, 0x1451) is open in the node. */
async function listening(node: Node, clock: Clock): Promise<void> {
  for (let waited = 0; waited < 5_000; waited += 20) {
    if (/:1451 \S+ 0A /.test(await Deno.readTextFile(`/proc/${node.pid}/net/tcp`))) return;
    await clock.sleep(20);
  }
}
