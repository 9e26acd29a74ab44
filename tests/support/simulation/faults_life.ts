/** What happens to daemons, machines and clocks. */
import type { Fault } from "./faults.ts";
import type { SimHost } from "./host.ts";
import { isRecord } from "./records.ts";
import type { World } from "./world.ts";

const DAY_MS = 86_400_000;

export const lifeFaults: Readonly<Record<string, Fault>> = {
  "a daemon is killed": (world) => {
    const host = world.pick(world.hosts);
    if (!host.running) return null;
    host.kill();
    return host.name;
  },
  "a daemon dies at some call": (world) => {
    const host = world.pick(world.hosts);
    if (host.life === null) return null;
    host.life.deathIn = 1 + world.random.int(60);
    return `${host.name}, call ${host.life.deathIn}`;
  },
  "a daemon is killed and started": (world) => {
    const host = world.pick(world.hosts);
    host.start();
    return host.name;
  },
  "a daemon is started and can't list": (world) => {
    const host = world.pick(world.hosts);
    host.start();
    host.faults.failingLists = 1 + world.random.int(20);
    return `${host.faults.failingLists} times, ${host.name}`;
  },
  "a daemon is started and dies at some call": (world) => {
    const host = world.pick(world.hosts);
    host.start();
    host.life!.deathIn = 1 + world.random.int(100);
    return `${host.name}, call ${host.life!.deathIn}`;
  },
  "a daemon is stopped": (world) => {
    const host = world.pick(world.hosts);
    host.stop();
    return host.name;
  },
  "a daemon is started": (world) => {
    const stopped = world.hosts.filter((host) => !host.running);
    if (stopped.length === 0) return null;
    const host = world.pick(stopped);
    host.start();
    return host.name;
  },
  "a daemon stands still": (world) => {
    const host = world.pick(world.hosts);
    if (host.life === null) return null;
    if (host.life.frozen) host.life.thaw();
    else host.life.freeze();
    return `${host.life.frozen} for ${host.name}`;
  },
  "a machine is suspended for more than a day": (world) => {
    const host = world.pick(world.hosts);
    host.life?.freeze();
    leap(world, DAY_MS + world.random.int(DAY_MS), (other) => other !== host);
    return host.name;
  },
  "all machines are suspended for more than a day": (world) => {
    leap(world, DAY_MS + world.random.int(DAY_MS), () => false);
    return "all hosts";
  },
  "the wall clock jumps": (world) => {
    const hours = world.pick([-30_000, -1, 1, 30_000]);
    world.clock.jumpWall(hours * 3_600_000);
    return `${hours} h`;
  },
  "the subnet file is deleted": (world) => {
    if (!world.gives("no file", "other network")) return null;
    const host = world.pick(world.hosts);
    host.file = null;
    return host.name;
  },
  "the subnet file is garbled": (world) => {
    if (!world.gives("no file", "other network")) return null;
    const host = world.pick(world.hosts);
    host.file = world.pick(["", "FLANNEL_SUBNET=10.1.300.1/24\n", "\0\0\0", "FLANNEL_NETWORK=0.0.0.0/0\n"]);
    return host.name;
  },
  "the subnet file can't be written": (world) => {
    if (!world.gives("no file", "other network")) return null;
    const { faults, name } = world.pick(world.hosts);
    faults.fileBroken = !faults.fileBroken;
    return `${faults.fileBroken} on ${name}`;
  },
};

/** Time leaps for all; the leases of those who `awake` were kept alive meanwhile. */
function leap(world: World, ms: number, awake: (host: SimHost) => boolean): void {
  const kept = world.hosts.filter((host) => host.running && awake(host)).flatMap((
    { addresses },
  ) => [...addresses]);
  world.clock.skip(ms);
  // Nobody had the time to do anything about it.
  world.sharing.clear();
  for (const model of world.models) {
    for (const { key, value, lease } of model.keys.values()) {
      const state = model.leases.get(lease);
      const keeps = isRecord(key) && kept.some((ip) => value.includes(`"${ip}"`));
      if (state && keeps) state.ends = world.clock.boot() + state.ttl * 1000;
    }
    model.wake();
  }
}
