/** Whether what we write to standard error goes to systemd's journal, which has times and priorities of its own. */
import { fstatSync } from "node:fs";

/**
 * True where `stream` (JOURNAL_STREAM, `device:inode` in decimal, as sd-daemon(3) has it) names what the descriptor is. A
 * child's stderr that was sent elsewhere inherits the variable, so that its mere presence says nothing.
 */
export function isJournal(stream: string | undefined, descriptor = 2): boolean {
  const [, device, inode] = /^(\d+):(\d+)$/.exec(stream ?? "") ?? [];
  if (device === undefined || inode === undefined) return false;
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return dev === BigInt(device) && ino === BigInt(inode);
  } catch {
    // Closed: then nobody reads it.
    return false;
  }
}
