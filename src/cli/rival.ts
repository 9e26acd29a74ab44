/**
 * Another make's flanneld that still runs in this network namespace, for the same subnet file: two that write the same
 * device, routes and rules take turns at undoing each other's work. Ours know of each other by their lock instead.
 */
import { Failure } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { abstractSockets, type OtherProcess, processesHere } from "../system/processes.ts";
import { LOCK_PREFIX } from "../control/name_lock.ts";
import { defaultSubnetFile } from "./instance.ts";
import { parseArgs } from "./parse_args.ts";

/** @throws Failure that names it, unless `force`: then it is warned of. */
export function refuseRival(subnetFile: string, force: boolean, log: Log): void {
  const rival = findRival(subnetFile, processesHere(), abstractSockets(LOCK_PREFIX));
  if (rival === undefined) return;
  const found =
    `"${rival.program}" (pid ${rival.pid}) runs in this network namespace for "${subnetFile}" already`;
  if (!force) {
    throw new Failure(
      `start on this host: ${found}; stop it (its network stays in place), or give this one a --subnet-file ` +
        "of its own, or take over beside it with --force",
    );
  }
  log.warn(`${found}; taking over all the same, as --force says: it will disturb us until it is stopped`);
}

/** @param locks the sockets by which our own daemons are known */
export function findRival(
  subnetFile: string,
  processes: readonly OtherProcess[],
  locks: ReadonlySet<string>,
): OtherProcess | undefined {
  return processes.find((process) =>
    /^flanneld/.test(process.program) && subnetFileOf(process) === subnetFile && !process.holds(locks)
  );
}

/** Every release of flannel has the flag and the variable under these names; a command line it refuses has the default. */
function subnetFileOf(process: OtherProcess): string {
  try {
    const flag = parseArgs(process.args).values.get("subnet-file");
    if (flag !== undefined) return String(flag);
  } catch {
    // A flag that we don't know.
  }
  return process.variable("FLANNELD_SUBNET_FILE") || defaultSubnetFile;
}
