/** A daemon that has started on a host, and what it left in the log. */
import { type Process, say } from "../tests/support/process.ts";
import { clean, type Host, type Lab, startDaemon } from "./lab.ts";
import type { Ear } from "./ear.ts";

export function etcdArgs(lab: Lab, prefix: string): string[] {
  return ["-etcd-endpoints", lab.endpoint, "-etcd-prefix", prefix];
}

/** Runs `body`; where it fails, what the daemon said last is printed. */
export async function telling<T>(daemon: Process, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    say(daemon.tail());
    throw error;
  }
}

/** Starts a daemon on a clean host and returns when `peers` routes stand. */
export async function startWithPeers(
  host: Host,
  ear: Ear,
  args: readonly string[],
  peers: number,
): Promise<Process> {
  await clean(host);
  const position = ear.position;
  const daemon = startDaemon(host, args);
  try {
    if (peers > 0) await ear.added(peers, position);
    await daemon.line(/Wrote subnet file/);
    return daemon;
  } catch (error) {
    say(daemon.tail());
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}
