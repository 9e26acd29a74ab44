/**
 * Peers that exist in etcd only: written and removed by hand, they show that a daemon follows the store, and how fast.
 * Ghost n has the subnet 10.1.n.0/24 (beyond those that daemons draw with `CONFIG`), the public IP 192.168.64.n and the MAC 02:00:00:00:00:n.
 */
import { peerRecord } from "./overlay.ts";
import { poll } from "./process.ts";
import type { Place } from "./netns.ts";

/** Milliseconds until the route must be there or gone. */
const DEADLINE = 30_000;

/** Key and value of a ghost, 100 to 255. */
export function ghost(number: number): [key: string, value: string] {
  const mac = `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`;
  return [`/coreos.com/network/subnets/10.1.${number}.0-24`, peerRecord(`192.168.64.${number}`, mac)];
}

/** Whether the daemon of a host has a route to a ghost. */
export async function knows(host: Place, number: number): Promise<boolean> {
  return (await host.run(["ip", "route", "show", `10.1.${number}.0/24`])).includes("flannel.1");
}

/** Waits until every host knows a ghost, or none does; the milliseconds that took. */
export async function followed(hosts: readonly Place[], number: number, known = true): Promise<number> {
  const start = performance.now();
  await Promise.all(
    hosts.map((host) =>
      poll(`ghost ${number} ${known ? "" : "gone "}on ${host.name}`, DEADLINE, async () => {
        return await knows(host, number) === known;
      })
    ),
  );
  return Math.round(performance.now() - start);
}
