/**
 * The daemon under test, on a host.
 *
 * DENIM_DAEMON in the environment names another command to test (words separated by blanks), such as a built binary; without
 * it this source tree's main.ts is run. With DENIM_HARDENED set it has only the capabilities that dist/flanneld-hardened.conf leaves
 * it, wherever a test has no wrapping of its own.
 */
import type { Place } from "./netns.ts";
import { NotifySocket } from "./notify_socket.ts";
import { type CommandOptions, poll, type Process } from "./process.ts";
import { rights } from "./sandbox.ts";
import { readService } from "./unit_file.ts";

export interface DaemonOptions extends CommandOptions {
  /** Words before the daemon's command: `["setpriv", "--reuid=65534", …]`. */
  readonly wrap?: readonly string[];
  /** Another daemon than the one of `daemonCommand`. */
  readonly command?: readonly string[];
}

/** The command that runs the daemon, without arguments. */
export function daemonCommand(): string[] {
  const given = Deno.env.get("DENIM_DAEMON");
  if (given !== undefined && given !== "") return given.split(" ");
  return [Deno.execPath(), "run", "-A", new URL("../../main.ts", import.meta.url).pathname];
}

/** Each host has its own /run, and all have one disk: that would make them one host. */
export const STATE_DIRECTORY = "/run/lib/flannel";

/** Starts the daemon and returns at once. */
export function launch(host: Place, args: readonly string[], options: DaemonOptions = {}): Process {
  const command = [
    ...(options.wrap ?? hardening()),
    ...(options.command ?? daemonCommand()),
    ...args,
  ];
  return host.start("flanneld", command, {
    ...options,
    env: { NO_COLOR: "1", STATE_DIRECTORY, ...options.env },
  });
}

/** The tests' health port is the tutorial's 300, for which the hardened unit has no capability: the kernel is told not to ask. */
function hardening(): string[] {
  if (!Deno.env.get("DENIM_HARDENED")) return [];
  const path = new URL("../../dist/flanneld-hardened.conf", import.meta.url);
  const { sandbox } = readService([Deno.readTextFileSync(path)]);
  const script = 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"';
  return ["/bin/sh", "-ec", script, "sh", ...rights(sandbox)];
}

/** Starts the daemon as systemd would and returns when it has said READY=1. */
export async function launchReady(
  host: Place,
  args: readonly string[],
  options: DaemonOptions = {},
): Promise<Process> {
  const socket = await NotifySocket.listen(host, `/run/notify-${++sockets}`);
  const daemon = launch(host, args, { ...options, env: { ...options.env, NOTIFY_SOCKET: socket.address } });
  await poll(
    "READY=1 or the daemon's end",
    60_000,
    () => socket.received.includes("READY=1") || !daemon.running,
  );
  if (!daemon.running) throw new Error(`start the daemon on ${host.name}: it ended`);
  return daemon;
}

/** The variables of a subnet.env. */
export async function subnetEnv(
  host: Place,
  file = "/run/flannel/subnet.env",
): Promise<Record<string, string>> {
  const text = await host.run(["cat", file]);
  return Object.fromEntries(text.trim().split("\n").map((line) => line.split("=", 2)));
}

/** What the daemon's health server answers on this host. */
export async function health(
  host: Place,
  path: string,
  port = 300,
): Promise<{ status: number; body: string }> {
  const request = `GET ${path} HTTP/1.0\r\n\r\n`;
  const answer = await host.run(["socat", "-t", "5", "-", `TCP:127.0.0.1:${port}`], { input: request });
  const [head, body] = answer.split("\r\n\r\n", 2) as [string, string];
  return { status: Number(head.split(" ")[1]), body };
}

let sockets = 0;
