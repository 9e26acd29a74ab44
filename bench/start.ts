/** From the exec of the daemon to its READY=1, the first host of a network: on etcd and on SQLite. */
import { say } from "../tests/support/process.ts";
import { Ear } from "./ear.ts";
import { clean, type Host, Lab, startDaemon } from "./lab.ts";
import { networkConfig } from "./leases.ts";
import { now } from "./libc.ts";
import { etcdArgs } from "./running.ts";
import { spread } from "./statistics.ts";
import { cpuSeconds, memory } from "./usage.ts";

const RUNS = 11;
const PREFIX = "/bench/start";

export async function start(): Promise<void> {
  await using lab = await Lab.create();
  const host = await lab.host();
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(`${directory}/net-conf.json`, networkConfig());
  await lab.seed(PREFIX, 0);
  await using ear = await Ear.open({ socket: `${directory}/notify` });
  const database = `${directory}/leases.db`;
  const stores: Record<string, { args: string[]; forget: () => Promise<void> }> = {
    etcd: { args: etcdArgs(lab, PREFIX), forget: () => lab.forgetHosts(PREFIX) },
    SQLite: {
      args: [`--store=sqlite:${database}`, "--net-config-path", `${directory}/net-conf.json`],
      forget: () => Deno.remove(database).catch(() => {}),
    },
  };
  const figures = new Map(Object.keys(stores).map((name) => [name, [] as Figures[]]));
  for (let run = 0; run < RUNS; run++) {
    for (const [name, { args, forget }] of Object.entries(stores)) {
      await forget();
      figures.get(name)!.push(await once(host, ear, args, `${directory}/notify`));
    }
  }
  for (const [name, runs] of figures) report(name, runs);
}

interface Figures {
  readonly wall: number;
  readonly cpu: number;
  readonly peak: number;
}

async function once(host: Host, ear: Ear, args: readonly string[], socket: string): Promise<Figures> {
  await clean(host);
  const position = ear.position;
  const started = now();
  await using daemon = startDaemon(host, args, { env: { NOTIFY_SOCKET: socket } });
  const [ready] = await ear.until("READY=1", 20_000, position, (heard) => heard.length > 0);
  const figures = { wall: ready!.at - started, cpu: cpuSeconds(daemon.pid), peak: memory(daemon.pid).peak };
  await daemon.stop();
  return figures;
}

function report(name: string, figures: readonly Figures[]): void {
  const wall = spread(figures.map((f) => f.wall), "ms", 0);
  const cpu = spread(figures.map((f) => f.cpu), "s", 2);
  const peak = spread(figures.map((f) => f.peak), "MB", 1);
  say(`  ${name}, ${figures.length} runs: ready after ${wall}, CPU ${cpu}, peak RSS ${peak}`);
}
