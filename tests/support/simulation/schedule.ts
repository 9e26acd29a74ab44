/**
 * One schedule: a cluster comes up, things go wrong for a while, then nothing does any more, and every host has to come to
 * the end that is right. Each schedule takes only some kinds of faults, so that each meets each other alone as well.
 */
import { settle } from "../clock.ts";
import { always, complaints } from "./checks.ts";
import { drawFaults } from "./faults.ts";
import { settleAddresses } from "./faults_identity.ts";
import { forget } from "./faults_kernel.ts";
import { isRecord } from "./records.ts";
import { World } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  /** How often what went wrong. */
  readonly faults: ReadonlyMap<string, number>;
  /** Milliseconds of the simulated clock from the end of the faults until every host was as it must be. */
  readonly healedMs: number;
  /** What was broken; null where all held. */
  readonly failure: string | null;
}

/**
 * Longest wait for the end: a watch that has left something out is found out after 10 minutes, and who is missing then is kept
 * for 11 more.
 */
const LONGEST_MS = 25 * 60_000;

/** @param trace gets each line of what happens */
export async function runSchedule(
  seed: number,
  trace: ((line: string) => void) | null = null,
): Promise<Outcome> {
  const world = new World(seed, trace);
  const counts = new Map<string, number>();
  const steps = await disturb(world, counts);
  const healedMs = world.violations.length > 0 ? 0 : await heal(world);
  for (const host of world.hosts) host.end();
  await settle();
  return { seed, steps, faults: counts, healedMs, failure: world.violations[0] ?? null };
}

async function disturb(world: World, counts: Map<string, number>): Promise<number> {
  const { random, clock } = world;
  const [latencyMs, slowMs] = world.pick([[0, 0], [0, 0], [4, 0], [40, 4]] as const);
  for (const host of world.hosts) {
    Object.assign(host.faults, { latencyMs, slowMs });
    if (!world.chance(8)) host.start();
  }
  if (!world.chance(4)) await clock.advance(random.int(3_000));
  const chosen = drawFaults(world, 2 + random.int(6));
  const most = 4 + random.int(30);
  let steps = 0;
  for (; steps < most && chosen.length > 0 && world.violations.length === 0; steps++) {
    const [name, fault] = world.pick(chosen);
    const what = fault(world);
    if (what !== null) {
      world.say("FAULT", `${name}: ${what}`);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    await clock.advance(random.int(world.pick([1, 10, 100, 2_000, 20_000])));
    always(world);
  }
  return steps;
}

/** Ends what is wrong and waits for the end; how long that took. */
async function heal(world: World): Promise<number> {
  world.say("FAULT", "no more of them");
  endFaults(world);
  const began = world.clock.boot();
  for (let wait = 1_000; world.violations.length === 0; wait = Math.min(wait * 2, 60_000)) {
    await world.clock.advance(wait);
    always(world);
    helpThoseWhoAsk(world);
    const open = complaints(world);
    if (open.length === 0) return await staysAsItIs(world) ? world.clock.boot() - began : 0;
    if (world.clock.boot() - began > LONGEST_MS) world.violation(open.join("\n"));
  }
  return 0;
}

function endFaults(world: World): void {
  const { model, models, hosts } = world;
  for (const each of models) {
    each.endOutage();
    each.muteWatches = false;
    each.dropEvents = 0;
  }
  world.setConfig(world.network);
  settleAddresses(world);
  for (const key of [...model.keys.keys()]) {
    if (
      isRecord(key) && !/(s\/[\d.]+-24(&fd00:10:0:[0-9a-f]+::-64)?|6\/fd00:10:0:[0-9a-f]+::-64)$/.test(key)
    ) {
      model.delete(key);
    }
  }
  for (const host of hosts) {
    host.faults.end();
    host.underlay.addressed = true;
    forget(host, world.chance(2) ? "all" : "namesakes");
    if (host.life !== null) host.life.deathIn = null;
    host.life?.thaw();
    // Somebody has to mirror.
    const needed = world.api === "both" && host.number === 1;
    if (!host.running && (!world.chance(4) || needed)) host.start();
  }
}

/** Whose subnet does not fit the configuration any more says so and waits for somebody who does as it says. */
function helpThoseWhoAsk(world: World): void {
  for (const host of world.hosts) {
    const { overlay } = host;
    if (!overlay?.readiness().reasons.some((reason) => reason.includes("does not fit"))) continue;
    host.start();
  }
}

/** Five a minute. */
const MOST_WRITES = 12;

function revisionOf({ models }: World): number {
  return models.reduce((sum, { revision }) => sum + revision, 0);
}

/** Once all is right, nothing changes any more. */
async function staysAsItIs(world: World): Promise<boolean> {
  if (world.thin || !world.chance(4)) return true;
  // What was planned before may still be under way; who was never told of something finds it out with the next whole reading.
  await world.clock.advance(world.hosts.some(({ misled }) => misled) ? 90_000 : 10_000);
  // Who could not reach the store may have learnt of the last configuration only now.
  helpThoseWhoAsk(world);
  await world.clock.advance(10_000);
  const before = world.hosts.map((host) => host.kernel.tried);
  const revision = revisionOf(world);
  await world.clock.advance(150_000);
  const after = world.hosts.map((host) => host.kernel.tried);
  const open = complaints(world);
  if (open.length > 0) world.violation(`all was right, and then: ${open.join("\n")}`);
  if (before.join() !== after.join()) {
    world.violation(`all was right, and still operations go on: ${before} ${after}`);
  }
  const writes = revisionOf(world) - revision;
  if (writes > MOST_WRITES) world.violation(`all was right, and still ${writes} writes came to the store`);
  return open.length === 0;
}
