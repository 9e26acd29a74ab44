/** Who has a UDP port that we would like to have: for messages. */
import { processesHere, udpSockets } from "../../system/processes.ts";

/** `"dnsmasq" (pid 77) has it`; empty where it is not to be seen. */
export function ownerOfPort(port: number): string {
  const sockets = udpSockets(port);
  const inodes = new Set([...sockets].filter((inode) => inode !== 0).map(String));
  const holder = inodes.size === 0 ? undefined : processesHere().find((process) => process.holds(inodes));
  if (holder !== undefined) return `"${holder.program}" (pid ${holder.pid}) has it`;
  return sockets.has(0) ? "a tunnel of the kernel's has it, such as those of Docker's overlay network" : "";
}
