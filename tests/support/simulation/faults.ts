/**
 * What can go wrong in a simulated cluster, by name. A schedule takes some of these and lets them happen in any order; each
 * draws its particulars from the world's chance. `tests/support/simulation/schedule.ts` ends them all.
 */
import { kernelFaults } from "./faults_kernel.ts";
import { lifeFaults } from "./faults_life.ts";
import { identityFaults } from "./faults_identity.ts";
import { tunnelFaults } from "./faults_tunnel.ts";
import { faultsOfBoth, storeFaults } from "./faults_store.ts";
import type { World } from "./world.ts";

/** Does it, and says what was done; null where it can't be now. */
export type Fault = (world: World) => string | null;

const faults: Readonly<Record<string, Fault>> = { ...kernelFaults, ...storeFaults, ...lifeFaults };

function happensIn(world: World, name: string): boolean {
  return world.api !== "both" || !(name in storeFaults) || faultsOfBoth.has(name);
}

/**
 * Some of them, one in `share`; of those that concern a tunnel, half, where there is one from the start; and where there are many
 * peers, lists without most of them more often.
 */
export function drawFaults(world: World, share: number): [name: string, fault: Fault][] {
  const thin = world.crowded && (world.network.type === "udp" || world.udpRandom.int(2) === 0);
  const drawn = Object.entries(faults).filter(([name]) =>
    (world.chance(share) || (thin && name === "lists lack records")) && happensIn(world, name)
  );
  if (world.idRandom.int(3) === 0) {
    drawn.push(...Object.entries(identityFaults).filter(() => world.idRandom.int(2) === 0));
  }
  if (world.network.type !== "udp") return drawn;
  return [...drawn, ...Object.entries(tunnelFaults).filter(() => world.udpRandom.int(2) === 0)];
}
