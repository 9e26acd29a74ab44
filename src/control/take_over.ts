/**
 * Going on in the place of a daemon of this make that had another name and runs no more: most often the same one, whose name
 * followed another subnet file. A device in our place with another's alias is its, and whether that one still runs is told by
 * the lock that bears its name. As long as what it left is being taken over the lock is ours, so that it can't start meanwhile.
 */
import { networkAlone } from "../model/plan.ts";
import type { Backend, Host } from "../backend/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { daemonOf } from "../model/objects.ts";
import type { Log } from "../observe/log.ts";
import { ownerOf } from "../plan/desired.ts";

/** Takes the lock of an instance; null where a daemon of that name runs. */
export type Reserve = (instance: string) => Disposable | null;

export interface TakenOver {
  readonly instances: readonly string[];
  /** The locks. */
  readonly held: DisposableStack;
}

/** Names in whose devices' place ours are to stand, and whose daemons do not run. */
export async function takeOver(
  self: Host,
  backend: Backend,
  { kernel, log, reserve }: {
    readonly kernel: Kernel;
    readonly log: Log;
    readonly reserve?: Reserve | undefined;
  },
): Promise<TakenOver> {
  const held = new DisposableStack();
  const instances: string[] = [];
  for (const [instance, device] of await strangers(self, backend, kernel)) {
    const lock = reserve?.(instance);
    if (!lock) continue;
    held.use(lock);
    instances.push(instance);
    log.warn(
      `"${device}" is of the daemon "${instance}", which does not run: taking over what it left here; ` +
        `with -instance=${instance} this one would have kept its name`,
      { device, instance },
    );
  }
  return { instances, held };
}

/** Daemons of this make that have a device in our place, and which. */
async function strangers(self: Host, backend: Backend, kernel: Kernel): Promise<Map<string, string>> {
  const observed = await kernel.read(ownerOf(self, backend), networkAlone);
  const found = new Map<string, string>();
  for (const { kind, key, standing, fields } of observed) {
    const instance = kind === "link" && standing === "foreign" ? daemonOf(fields.alias) : null;
    if (instance !== null) found.set(instance, key);
  }
  return found;
}
