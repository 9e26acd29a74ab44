/**
 * A daemon that has nothing to do: CPU time over one minute, of it and the programs it runs, and resident memory; alone and with
 * 5,000 peers, on etcd and on SQLite. The four stand on hosts of their own and are measured over the same minute, which
 * begins 45 s after the last one was ready: V8 tidies its heap up some half a minute after a start, and one slow read-back
 * of everything (every 60 to 75 s) is to fall into it.
 */
import { pause, type Process, say } from "../tests/support/process.ts";
import { SqliteFile } from "../src/store/rows/sqlite_file.ts";
import { Ear } from "./ear.ts";
import { Lab } from "./lab.ts";
import { foreignLeases, networkConfig } from "./leases.ts";
import { etcdArgs, startWithPeers } from "./running.ts";
import { cpuSeconds, memory } from "./usage.ts";

const PEERS = [0, 5_000];
const SETTLE_MS = 45_000;
const MINUTE_MS = 60_000;

interface Case {
  readonly name: string;
  readonly daemon: Process;
}

export async function idle(): Promise<void> {
  await using lab = await Lab.create();
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(`${directory}/net-conf.json`, networkConfig());
  const cases: Case[] = [];
  for (const peers of PEERS) {
    const prefix = `/bench/idle-${peers}`;
    await lab.seed(prefix, peers);
    cases.push(await start(lab, `etcd, ${peers} peers`, etcdArgs(lab, prefix), peers));
    const file = `${directory}/${peers}.db`;
    seedSqlite(file, peers);
    const args = [`--store=sqlite:${file}`, "--net-config-path", `${directory}/net-conf.json`];
    cases.push(await start(lab, `SQLite, ${peers} peers`, args, peers));
  }
  await pause(SETTLE_MS);
  const before = cases.map(({ daemon }) => cpuSeconds(daemon.pid));
  await pause(MINUTE_MS);
  for (const [i, { name, daemon }] of cases.entries()) {
    const { now, peak } = memory(daemon.pid);
    const cpu = (cpuSeconds(daemon.pid) - before[i]!).toFixed(2);
    say(`  ${name}: ${cpu} s CPU in a minute, RSS ${now.toFixed(1)} MB (peak ${peak.toFixed(1)} MB)`);
  }
  for (const { daemon } of cases) await daemon.stop();
}

async function start(lab: Lab, name: string, args: readonly string[], peers: number): Promise<Case> {
  const host = await lab.host();
  await using ear = await Ear.open({ routesOf: host.pid });
  return { name, daemon: await startWithPeers(host, ear, args, peers) };
}

function seedSqlite(path: string, count: number): void {
  const file = new SqliteFile(path, false);
  const expires = Date.now() + 86_400_000;
  file.transaction("write", () => {
    for (const { key, value } of foreignLeases(count)) {
      file.statement("INSERT INTO changes (key) VALUES (?)").run(key);
      file.statement("INSERT INTO leases VALUES (?, ?, last_insert_rowid(), last_insert_rowid(), ?)")
        .run(key, value, expires);
    }
  });
  file.close();
}
