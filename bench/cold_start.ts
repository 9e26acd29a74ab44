/**
 * 5,000 hosts are there already when a host joins: from the exec of the daemon until the last route stands, with a lease of
 * its own to take. Wall time; CPU time of the daemon and its children until then; the most memory it ever had resident.
 * Upstream's daemons, where there are some, take turns with this one.
 */
import { Ear } from "./ear.ts";
import { clean, type Host, Lab, startDaemon } from "./lab.ts";
import { now } from "./libc.ts";
import { say } from "../tests/support/process.ts";
import { daemonCommand } from "../tests/support/daemon.ts";
import { spread } from "./statistics.ts";
import { findUpstream } from "./upstream.ts";
import { cpuTime, memory } from "./usage.ts";

const PEERS = 5_000;
const RUNS = 7;
const PREFIX = "/bench/cold";

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  readonly v2: boolean;
}

interface Figures {
  readonly wall: number;
  readonly user: number;
  readonly system: number;
  readonly peak: number;
}

export async function coldStart(): Promise<void> {
  await using lab = await Lab.create();
  const host = await lab.host();
  await lab.seed(PREFIX, PEERS);
  const upstream = await findUpstream();
  if (upstream.some(({ v2 }) => v2)) await lab.seedV2(PREFIX, PEERS);
  const contenders = [
    { name: "denim", command: daemonCommand(), v2: false },
    ...upstream.map((each) => ({ name: `upstream ${each.version}`, command: [each.path], v2: each.v2 })),
  ];
  if (upstream.length === 0) {
    say("  upstream's flanneld was not there (DENIM_PEERS names a directory with some)");
  }
  await using ear = await Ear.open({ routesOf: host.pid });
  const all = new Map<Contender, Figures[]>(contenders.map((contender) => [contender, []]));
  for (let run = 0; run < RUNS; run++) {
    for (const [contender, figures] of all) figures.push(await join(lab, host, ear, contender));
  }
  for (const [{ name }, figures] of all) report(name, figures);
}

async function join(lab: Lab, host: Host, ear: Ear, { command }: Contender): Promise<Figures> {
  await clean(host);
  await lab.forgetHosts(PREFIX);
  const position = ear.position;
  const start = now();
  const args = ["-etcd-endpoints", lab.endpoint, "-etcd-prefix", PREFIX];
  await using daemon = startDaemon(host, args, { command });
  const end = await ear.added(PEERS, position).catch((error) => {
    say(daemon.tail());
    throw error;
  });
  const { user, system } = cpuTime(daemon.pid);
  await daemon.line(/Wrote subnet file|Running backend/);
  const { peak } = memory(daemon.pid);
  await daemon.stop();
  return { wall: (end - start) / 1000, user, system, peak };
}

function report(name: string, figures: readonly Figures[]): void {
  const of = (value: (f: Figures) => number) => figures.map(value);
  const cpu = spread(of((f) => f.user + f.system), "s", 2);
  const parts = `user ${spread(of((f) => f.user), "s", 2)}, system ${spread(of((f) => f.system), "s", 2)}`;
  say(`  ${name}: ${PEERS} peers, ${figures.length} runs, median (least-most)`);
  say(`    wall ${spread(of((f) => f.wall), "s", 3)}, CPU ${cpu} [${parts}]`);
  say(`    peak RSS ${spread(of((f) => f.peak), "MB", 1)}`);
}
