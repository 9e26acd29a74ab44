/**
 * Descriptors that a service manager keeps while this program is restarted: systemd's fd store (sd_notify(3) FDSTORE=1,
 * sd_listen_fds(3)). A stopped unit's are closed by the manager, so that a real stop is one.
 *
 * What comes back is believed only as far as the kernel confirms it. Descriptors are sent only where the variable FDSTORE says
 * that they are kept (systemd sets it from version 254 on, a unit can do it before): another receiver might hold them for ever.
 */
import {
  closeDescriptor,
  describeDescriptor,
  setCloseOnExec,
  type TunDescriptor,
  type UdpSocketDescriptor,
} from "../../../ffi/descriptors.ts";
import type { Library } from "../../../ffi/library.ts";
import { notify, notifyWithDescriptors } from "../../../ffi/process.ts";

/** The first descriptor that a manager hands over (sd_listen_fds(3)). */
const FIRST = 3;

export type KeptDescriptor = (TunDescriptor | UdpSocketDescriptor) & { readonly fd: number };

export interface KeptDescriptors {
  /** What came back under each name and was not taken yet. */
  readonly waiting: ReadonlyMap<string, readonly KeptDescriptor[]>;
  /** They are the caller's now. */
  take(name: string): readonly KeptDescriptor[];
  /** Whether there is a manager that keeps anything. */
  readonly stores: boolean;
  /** Gives copies to the manager under this name. @throws Failure where it can't be told */
  keep(name: string, fds: readonly number[]): void;
  /** The manager's copies under this name are closed, soon. */
  forget(name: string): void;
  close(fd: number): void;
}

/** The environment's variables about the manager; they are not for programs that we start. */
export interface ManagerVariables {
  get(name: string): string | undefined;
  delete(name: string): void;
}

/** Reads what the manager handed over, once for the process. @param pid ours: what is meant for another is left alone */
export function keptDescriptors(library: Library, variables: ManagerVariables, pid: number): KeptDescriptors {
  const stores = Number(variables.get("FDSTORE")) > 0;
  const socket = stores ? variables.get("NOTIFY_SOCKET") ?? "" : "";
  const waiting = handedOver(library, variables, pid);
  return {
    waiting,
    take(name) {
      const taken = waiting.get(name) ?? [];
      waiting.delete(name);
      return taken;
    },
    stores: socket !== "",
    keep(name, fds) {
      if (socket !== "") notifyWithDescriptors(library, socket, `FDSTORE=1\nFDNAME=${name}`, fds);
    },
    forget(name) {
      if (socket !== "") notify(library, socket, `FDSTOREREMOVE=1\nFDNAME=${name}`);
    },
    close: (fd) => closeDescriptor(library, fd),
  };
}

function handedOver(
  library: Library,
  variables: ManagerVariables,
  pid: number,
): Map<string, KeptDescriptor[]> {
  const count = variables.get("LISTEN_PID") === String(pid) ? countOf(variables.get("LISTEN_FDS")) : 0;
  const names = (variables.get("LISTEN_FDNAMES") ?? "").split(":");
  const waiting = new Map<string, KeptDescriptor[]>();
  for (let i = 0; i < count; i++) {
    const found = describeDescriptor(library, FIRST + i);
    if (found === null) continue;
    setCloseOnExec(library, FIRST + i);
    const name = names[i] ?? "";
    waiting.set(name, [...waiting.get(name) ?? [], { ...found, fd: FIRST + i }]);
  }
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) variables.delete(name);
  return waiting;
}

/** More than a process may have open by default: nothing beyond is looked for. */
const MOST = 1024;

function countOf(text = ""): number {
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), MOST) : 0;
}

/** For a program that has no manager, or one that is not ours to talk to. */
export function noKeptDescriptors(library: Library): KeptDescriptors {
  return {
    waiting: new Map(),
    take: () => [],
    stores: false,
    keep: () => {},
    forget: () => {},
    close: (fd) => closeDescriptor(library, fd),
  };
}
