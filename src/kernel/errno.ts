/** Linux error numbers as netlink returns them (negative), in the kernel's words. Source: asm-generic/errno*.h. */

const texts: ReadonlyMap<number, string> = new Map([
  [1, "Operation not permitted"],
  [2, "No such file or directory"],
  [3, "No such process"],
  [5, "Input/output error"],
  [6, "No such device or address"],
  [7, "Argument list too long"],
  [11, "Resource temporarily unavailable"],
  [12, "Cannot allocate memory"],
  [13, "Permission denied"],
  [16, "Device or resource busy"],
  [17, "File exists"],
  [19, "No such device"],
  [22, "Invalid argument"],
  [23, "Too many open files in system"],
  [28, "No space left on device"],
  [34, "Numerical result out of range"],
  [40, "Too many levels of symbolic links"],
  [90, "Message too long"],
  [92, "Protocol not available"],
  [93, "Protocol not supported"],
  [95, "Operation not supported"],
  [97, "Address family not supported by protocol"],
  [98, "Address already in use"],
  [99, "Cannot assign requested address"],
  [100, "Network is down"],
  [101, "Network is unreachable"],
  [105, "No buffer space available"],
  [110, "Connection timed out"],
  [113, "No route to host"],
]);

const remedies: ReadonlyMap<number, string> = new Map([
  [1, "the daemon needs CAP_NET_ADMIN: run it as root or grant that capability"],
  [17, "something that is not ours stands there: remove it, or choose another network"],
]);

/** What "it is not there" looks like, of a route, a neighbour, an FDB entry, an address and a device. */
const absences: ReadonlySet<number> = new Set([2, 3, 6, 19, 99]);

export const EEXIST = 17;

/** True where a deletion that ended like this has nothing left to do. `result` is a negative errno. */
export function isAbsence(result: number): boolean {
  return absences.has(-result);
}

/** The state for an error message, with the way out where there is one. `result` is a negative errno. */
export function errnoText(result: number): string {
  const state = texts.get(-result) ?? `error ${-result}`;
  const remedy = remedies.get(-result);
  return remedy === undefined ? state : `${state}; ${remedy}`;
}
