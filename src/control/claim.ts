/** What this host claims of the store when it takes a subnet: the same for a start, a preview and a lease that was lost. */
import type { Backend, Host } from "../backend/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Subnets } from "../model/lease.ts";
import { type Occupied, withoutOwn } from "../model/occupied.ts";
import type { Claim, Claimant } from "../store/store.ts";
import { type Former, ownerOf } from "../plan/desired.ts";
import { recordOf } from "./host.ts";

/** What is on this host without us and without what carries `own` for us. */
export async function occupiedBesides(
  self: Host,
  backend: Backend,
  former: Former,
  own: Subnets,
  kernel: Kernel,
): Promise<Occupied[]> {
  return withoutOwn(await kernel.occupied(ownerOf(self, backend, former)), own, self.underlay.device);
}

export async function claimOf(
  self: Host,
  backend: Backend,
  former: Former,
  previous: Subnets,
  claimant: Claimant,
  kernel: Kernel,
): Promise<Claim> {
  const occupied = await occupiedBesides(self, backend, former, previous, kernel);
  return { config: self.network, self: claimant, record: recordOf(self, backend), previous, occupied };
}
