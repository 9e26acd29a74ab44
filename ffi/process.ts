/** What a daemon needs of its own process: telling systemd, the boot clock, no inspector, one instance at a time. */
import { Failure } from "../src/model/errors.ts";
import { describeErrno } from "./errno.ts";
import type { Library } from "./library.ts";

const EADDRINUSE = -98;
const encoder = new TextEncoder();

/**
 * sd_notify(3): sends one datagram.
 *
 * @param address what NOTIFY_SOCKET says: a path, or `@` and an abstract name
 * @param message lines such as `READY=1`
 * @throws {Failure} where nobody listens there
 */
export function notify(library: Library, address: string, message: string): void {
  notifyWithDescriptors(library, address, message, []);
}

/**
 * The same with copies of descriptors, for the service manager's store: `FDSTORE=1` and `FDNAME=`. They stay open here.
 *
 * @param fds 64 at most; one message names all of them alike
 * @throws {Failure} where nobody listens there, or one is not open
 */
export function notifyWithDescriptors(
  library: Library,
  address: string,
  message: string,
  fds: readonly number[],
): void {
  const to = encoder.encode(address);
  const text = encoder.encode(message);
  const numbers = Int32Array.from(fds);
  const result = library.symbols.denim_notify(to, to.length, text, text.length, numbers, numbers.length);
  if (result < 0) throw new Failure(`notify the service manager at "${address}": ${describeErrno(result)}`);
}

/** Milliseconds since boot, suspend included (CLOCK_BOOTTIME). */
export function bootTime(library: Library): number {
  return Number(library.symbols.denim_boot_time()) / 1e6;
}

/**
 * SIGUSR1 does nothing from now on: it would open V8's inspector, and with it everything, on 127.0.0.1:9229.
 *
 * Deno installs its handler half a second after the start, which would undo ours, but only once per process: a listener of
 * our own makes it do so before.
 */
export function ignoreInspectorSignal(library: Library): void {
  const nothing = () => {};
  Deno.addSignalListener("SIGUSR1", nothing);
  Deno.removeSignalListener("SIGUSR1", nothing);
  const result = library.symbols.denim_ignore_inspector_signal();
  if (result < 0) throw new Failure(`ignore SIGUSR1: ${describeErrno(result)}`);
}

/**
 * Takes the lock `name` of this network namespace: an abstract socket, which the kernel frees however the process ends.
 *
 * @returns what holds it, or null where somebody else does
 * @throws {Failure} where the name is empty or longer than 107 bytes, or the kernel refuses
 */
export function lock(library: Library, name: string): Disposable | null {
  const bytes = encoder.encode(name);
  const result = library.symbols.denim_lock(bytes, bytes.length);
  if (result === EADDRINUSE) return null;
  if (result < 0) throw new Failure(`take the lock "${name}": ${describeErrno(result)}`);
  let held = true;
  return {
    [Symbol.dispose]: () => {
      if (held) library.symbols.denim_unlock(result);
      held = false;
    },
  };
}
