/**
 * From a lease's put in etcd to its route on another host: 1,000 hosts join one after the other, the next when the daemon
 * has come to rest after the one before. The time begins before the put is sent and ends when the kernel tells of the route. The
 * daemon gathers changes for 5 ms before it acts, 50 ms after a round: that is in the figures.
 */
import { pause, say } from "../tests/support/process.ts";
import { Ear } from "./ear.ts";
import { Lab } from "./lab.ts";
import { type ForeignLease, foreignLeases } from "./leases.ts";
import { now } from "./libc.ts";
import { etcdArgs, startWithPeers, telling } from "./running.ts";
import { tail } from "./statistics.ts";
import { cpuSeconds } from "./usage.ts";

const LEASES = 1_000;
const PREFIX = "/bench/propagation";
/** Milliseconds between an arrival and the next put: this and up to as much again, so that no rhythm arises. */
const PAUSE = 60;

export async function propagation(): Promise<void> {
  await using lab = await Lab.create();
  const host = await lab.host();
  await lab.seed(PREFIX, 0);
  await using ear = await Ear.open({ routesOf: host.pid });
  await using daemon = await startWithPeers(host, ear, etcdArgs(lab, PREFIX), 0);
  const before = cpuSeconds(daemon.pid);
  const times: number[] = [];
  for (const lease of foreignLeases(LEASES)) {
    times.push(await telling(daemon, () => arrival(lab, ear, lease)));
    await pause(PAUSE + Math.random() * PAUSE);
  }
  say(`  ${LEASES} leases, one after the other: ${tail(times)}`);
  say(`  first hundred: ${tail(times.slice(0, 100))}; last hundred: ${tail(times.slice(-100))}`);
  say(`  CPU a lease: ${((cpuSeconds(daemon.pid) - before) * 1000 / LEASES).toFixed(1)} ms`);
}

/** Milliseconds that one lease takes. */
async function arrival(lab: Lab, ear: Ear, lease: ForeignLease): Promise<number> {
  const position = ear.position;
  const start = now();
  await lab.put(`${PREFIX}/subnets/${lease.key}`, lease.value);
  const heard = await ear.until(
    `the route to ${lease.subnet}`,
    10_000,
    position,
    (all) => all.some((e) => e.event === "added" && e.address === lease.address),
  );
  return heard.find((e) => e.event === "added" && e.address === lease.address)!.at - start;
}
