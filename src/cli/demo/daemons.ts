/** The demo's daemons: one per host, all on one SQLite file. What they say goes to a file each, shown where one fails. */
import { Failure } from "../../model/errors.ts";
import type { Clock } from "../../model/clock.ts";
import { startProgram } from "../../system/exec.ts";
import { selfCommand } from "../self_command.ts";
import { type DemoHost, inside } from "./lab.ts";

/** How long a host may take until its subnet file is there. */
const PATIENCE_MS = 30_000;

export interface DemoDaemon {
  readonly host: DemoHost;
  /** The subnet file's variables. */
  readonly environment: Readonly<Record<string, string>>;
  /** What it has said so far. */
  log(): Promise<string>;
  stop(): Promise<void>;
}

/** Starts a daemon on every host and waits until each has written its subnet file. `directory` is the demo's own. */
export async function startDaemons(
  hosts: readonly DemoHost[],
  backend: string,
  directory: string,
  clock: Clock,
): Promise<DemoDaemon[]> {
  const config = { Network: "10.1.0.0/16", SubnetLen: 24, Backend: { Type: backend } };
  await Deno.writeTextFile(`${directory}/net-conf.json`, JSON.stringify(config));
  return await Promise.all(hosts.map((host) => startDaemon(host, directory, clock)));
}

async function startDaemon(host: DemoHost, directory: string, clock: Clock): Promise<DemoDaemon> {
  const subnetFile = `${directory}/h${host.number}/subnet.env`;
  const logFile = `${directory}/h${host.number}.log`;
  const flags = [
    `--store=sqlite:${directory}/leases.db`,
    `--net-config-path=${directory}/net-conf.json`,
    `--subnet-file=${subnetFile}`,
    `--state-dir=${directory}/h${host.number}`,
    "--ip-masq",
    // Each of the peers of a tunnel is told then, however many there are.
    "-v=1",
  ];
  // The shell only sends the log to its file and becomes the daemon.
  const script = 'log=$1; shift; exec "$@" >"$log" 2>&1';
  const [program, ...args] = inside(host, "sh", "-c", script, "sh", logFile, ...selfCommand(), ...flags);
  const child = startProgram(program, { args, stdin: "null", stdout: "null", stderr: "null" });
  let ended: string | null = null;
  child.status.then(({ code, signal }) => ended = signal ?? `exit code ${code}`);
  for (let waited = 0; waited < PATIENCE_MS && ended === null; waited += 20) {
    const text = await Deno.readTextFile(subnetFile).catch(() => null);
    if (text !== null) {
      const log = () => Deno.readTextFile(logFile);
      return { host, environment: variables(text), log, stop: () => stop(child) };
    }
    await clock.sleep(20);
  }
  const log = await Deno.readTextFile(logFile).catch(() => "");
  throw new Failure(
    `start the daemon on ${host.name}: ${ended ?? "no subnet file came"}; it said:\n${log}`,
  );
}

async function stop(child: Deno.ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  await child.status;
}

function variables(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").filter((line) => line.includes("=")).map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
