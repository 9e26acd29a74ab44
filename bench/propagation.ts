/**
 * From a lease's put in etcd to its route on another host, among few and among many: ours and upstream's daemon, where there is
 * one, side by side on two hosts. The next host joins when both have come to rest after the one before. The time begins before
 * the put is sent and ends when the kernel tells of the route.
 */
import { pause, type Process, say } from "../tests/support/process.ts";
import { Ear } from "./ear.ts";
import { type Host, Lab, startDaemon } from "./lab.ts";
import { type ForeignLease, foreignLease } from "./leases.ts";
import { now } from "./libc.ts";
import { etcdArgs, startWithPeers, telling } from "./running.ts";
import { tail } from "./statistics.ts";
import { findUpstream } from "./upstream.ts";
import { cpuSeconds } from "./usage.ts";

const LEASES = 300;
const PEERS = [10, 1_000, 5_000, 10_000];
/** Milliseconds between an arrival and the next put: this and up to as much again, so that no rhythm arises. */
const PAUSE = 40;

interface Side {
  readonly name: string;
  readonly host: Host;
  readonly ear: Ear;
  readonly daemon: Process;
}

export async function propagation(): Promise<void> {
  await using lab = await Lab.create();
  const [host, other] = [await lab.host(), await lab.host()];
  await using ear = await Ear.open({ routesOf: host.pid });
  await using otherEar = await Ear.open({ routesOf: other.pid });
  const upstream = (await findUpstream()).find(({ v2 }) => !v2);
  if (upstream === undefined) say("  upstream's daemon is not here: ours alone");
  for (const peers of PEERS) {
    const prefix = `/bench/propagation-${peers}`;
    await lab.seed(prefix, peers);
    await using daemon = await startWithPeers(host, ear, etcdArgs(lab, prefix), peers);
    const sides: Side[] = [{ name: "denim", host, ear, daemon }];
    if (upstream === undefined) await among(lab, prefix, peers, sides);
    else {
      const command = [upstream.path];
      await using theirs = startDaemon(other, etcdArgs(lab, prefix), { command });
      await otherEar.added(peers, otherEar.position, 120_000).catch(() => {});
      await among(lab, prefix, peers, [...sides, {
        name: `flannel ${upstream.version}`,
        host: other,
        ear: otherEar,
        daemon: theirs,
      }]);
    }
  }
}

async function among(lab: Lab, prefix: string, peers: number, sides: readonly Side[]): Promise<void> {
  const times = sides.map((): number[] => []);
  const before = sides.map(({ daemon }) => cpuSeconds(daemon.pid));
  for (let i = 0; i < LEASES; i++) {
    const lease = foreignLease(peers + i);
    const arrived = await telling(sides[0]!.daemon, () => arrivals(lab, prefix, lease, sides));
    arrived.forEach((time, side) => times[side]!.push(time));
    await pause(PAUSE + Math.random() * PAUSE);
  }
  for (const [i, { name, daemon }] of sides.entries()) {
    const cpu = (cpuSeconds(daemon.pid) - before[i]!) * 1000 / LEASES;
    say(
      `  ${peers} peers, ${LEASES} more one by one, ${name}: ${tail(times[i]!)}; CPU a lease ${
        cpu.toFixed(1)
      } ms`,
    );
  }
}

/** Milliseconds until each side has the route. */
async function arrivals(
  lab: Lab,
  prefix: string,
  { key, value, address, subnet }: ForeignLease,
  sides: readonly Side[],
): Promise<number[]> {
  const positions = sides.map(({ ear }) => ear.position);
  const start = now();
  await lab.put(`${prefix}/subnets/${key}`, value);
  const isIt = (e: { event: string; address: number }) => e.event === "added" && e.address === address;
  return await Promise.all(sides.map(async ({ ear }, i) => {
    const heard = await ear.until(`the route to ${subnet}`, 10_000, positions[i]!, (all) => all.some(isIt));
    return heard.find(isIt)!.at - start;
  }));
}
