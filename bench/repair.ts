/**
 * Somebody deletes a route with `ip route del`: from the kernel's word that it is gone to its word that it is back. The first of
 * them follows a start at once.
 */
import { pause, say } from "../tests/support/process.ts";
import { Ear } from "./ear.ts";
import { type Host, Lab } from "./lab.ts";
import { type ForeignLease, foreignLease } from "./leases.ts";
import { etcdArgs, startWithPeers, telling } from "./running.ts";
import { tail } from "./statistics.ts";
import { cpuSeconds } from "./usage.ts";

const TIMES = 50;
const PEERS = [10, 5_000];

export async function repair(): Promise<void> {
  await using lab = await Lab.create();
  const host = await lab.host();
  await using ear = await Ear.open({ routesOf: host.pid });
  for (const peers of PEERS) await repairWith(lab, host, ear, peers);
}

async function repairWith(lab: Lab, host: Host, ear: Ear, peers: number): Promise<void> {
  const prefix = `/bench/repair-${peers}`;
  await lab.seed(prefix, peers);
  await using daemon = await startWithPeers(host, ear, etcdArgs(lab, prefix), peers);
  const before = cpuSeconds(daemon.pid);
  const times: number[] = [];
  for (let i = 0; i < TIMES; i++) {
    times.push(await telling(daemon, () => repaired(host, ear, foreignLease((i * 97) % peers))));
    await pause(20 + Math.random() * 20);
  }
  const cpu = ((cpuSeconds(daemon.pid) - before) * 1000 / TIMES).toFixed(1);
  say(`  ${peers} peers, ${TIMES} times: ${tail(times)}; CPU a repair ${cpu} ms`);
}

/** Milliseconds for which one route was gone. */
async function repaired(host: Host, ear: Ear, { subnet, address }: ForeignLease): Promise<number> {
  const position = ear.position;
  await host.run(["ip", "route", "del", subnet]);
  const of = (event: string) => (e: { event: string; address: number }) =>
    e.event === event && e.address === address;
  const heard = await ear.until(
    `the route to ${subnet} to be back`,
    10_000,
    position,
    (all) => all.some(of("added")),
  );
  return heard.find(of("added"))!.at - heard.find(of("deleted"))!.at;
}
