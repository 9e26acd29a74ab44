/**
 * Moving a network from one of etcd's APIs to the other: the configuration and every lease that still runs. Nothing is ever
 * overwritten: what stands on the other side already stays, and what contradicts it stops everything before the first write.
 *
 *     read both sides ──► planMigration (pure) ──► conflicts: say all, write none
 *                                              └─► leases, each where its key is free; the configuration last,
 *                                                  so that no host starts there before it can see who has what
 */
import { conflicting } from "../../model/allocate.ts";
import type { Instant } from "../../model/clock.ts";
import { configDifferences, describeDifference } from "../../model/config_difference.ts";
import { Failure, messageOf } from "../../model/errors.ts";
import { describeSubnets, type Lease, sameSubnets } from "../../model/lease.ts";
import { sameRecord } from "../../model/lease_codec.ts";
import { parseNetworkConfig } from "../../model/parse_config.ts";
import { held, sameHost } from "../choice.ts";
import type { StoredConfig } from "../config_place.ts";
import { NO_IPV6_ALONE } from "./keys.ts";
import type { EtcdSide, SideName } from "./side.ts";
import { mirrorOf } from "./both/mirror.ts";
import { hostOf } from "../host_name.ts";
import { isLost, type Listing, type Unreadable } from "../store.ts";

/** What stands on one side, with exact ends. */
export interface SideState {
  readonly api: SideName;
  readonly key: string;
  readonly config: StoredConfig | null;
  readonly listing: Listing;
}

export type Step =
  | { readonly type: "create"; readonly lease: Lease }
  /** The same record stands there and ends earlier. */
  | { readonly type: "extend"; readonly lease: Lease; readonly there: Lease };

export interface MigrationPlan {
  /** The text to be written; null where it stands there already. */
  readonly config: string | null;
  readonly steps: readonly Step[];
  /** Leases whose host has the same subnet there already. */
  readonly kept: readonly Lease[];
  /** What can't be moved and holds nothing up, a sentence each. */
  readonly notes: readonly string[];
  /** Why nothing may be written, a sentence each. */
  readonly conflicts: readonly string[];
}

/** Milliseconds: leases that differ by less end at the same time, etcd counts whole seconds. */
const SAME_END_MS = 5_000;

export async function readSide({ api, config, table }: EtcdSide): Promise<SideState> {
  return { api, key: config.name, config: await config.read(), listing: await table.listExact() };
}

/** @throws Failure where there is nothing to move, or a configuration can't be read */
export function planMigration(from: SideState, to: SideState, now: Instant): MigrationPlan {
  if (from.config === null) {
    throw new Failure(
      `migrate from ${from.api} to ${to.api}: "${from.key}" is absent in ${from.api}, there is no network; ` +
        "correct -etcd-prefix, or the direction",
    );
  }
  const steps: Step[] = [];
  const kept: Lease[] = [];
  const conflicts = configConflicts(from, to);
  const moving = from.listing.leases.filter((lease) => mirrorOf(lease.record) === null);
  for (const lease of moving) {
    if (lease.expires !== null && lease.expires - now < 1000) continue;
    const conflict = leaseConflict(lease, from, to);
    const there = to.listing.leases.find(({ subnets }) => sameSubnets(subnets, lease.subnets));
    if (conflict !== null) conflicts.push(conflict);
    else if (there === undefined) steps.push({ type: "create", lease });
    else if (isShorterCopy(there, lease)) steps.push({ type: "extend", lease, there });
    else kept.push(lease);
  }
  const notes = from.listing.unreadable.map(({ key, reason }) =>
    `${JSON.stringify(key)} in ${from.api} is left out: ${reason}`
  );
  return { config: to.config === null ? from.config.text : null, steps, kept, notes, conflicts };
}

function configConflicts(from: SideState, to: SideState): string[] {
  if (to.api === "v2" && configOf(from).v4 === null) return [NO_IPV6_ALONE];
  if (to.config === null) return [];
  const differences = configDifferences(configOf(from), configOf(to));
  return differences.map((difference) =>
    `the configurations differ: ${describeDifference(difference, from.api, to.api)}`
  );
}

function configOf({ api, key, config }: SideState): ReturnType<typeof parseNetworkConfig> {
  try {
    return parseNetworkConfig(config!.text);
  } catch (error) {
    throw new Failure(`read the network configuration "${key}" in ${api}: ${messageOf(error)}; correct it`);
  }
}

/** Who or what is in the way of a lease on the other side; null where nothing is. */
function leaseConflict(lease: Lease, from: SideState, to: SideState): string | null {
  const ours = `${describeSubnets(lease.subnets)} belongs to ${hostOf(lease.record)} in ${from.api}`;
  for (const there of to.listing.leases) {
    if (sameSubnets(there.subnets, lease.subnets) && sameHost(there.record, lease.record)) continue;
    const theirs = `${hostOf(there.record)} in ${to.api}`;
    if (sameSubnets(there.subnets, lease.subnets)) return `${ours} and to ${theirs}`;
    const what = describeSubnets(there.subnets);
    if (sameHost(there.record, lease.record)) return `${ours}, and that host has ${what} in ${to.api}`;
    if (conflicting(there.subnets, lease.subnets)) return `${ours} and overlaps ${what} of ${theirs}`;
  }
  const hidden = to.listing.unreadable.find((each) => holds(each, lease));
  return hidden === undefined
    ? null
    : `${ours}, and ${JSON.stringify(hidden.key)} in ${to.api} can't be read: ${hidden.reason}`;
}

function holds(each: Unreadable, lease: Lease): boolean {
  const subnets = held(each);
  return subnets !== null && conflicting(subnets, lease.subnets);
}

/** What was copied before, from a lease that has been renewed since. */
function isShorterCopy(there: Lease, lease: Lease): boolean {
  if (there.expires === null || !sameRecord(there.record, lease.record)) return false;
  return lease.expires === null || lease.expires - there.expires > SAME_END_MS;
}

/**
 * Does what a plan without conflicts says.
 *
 * @throws Failure where somebody else was faster: what was written until then is right and stays
 */
export async function applyMigration(plan: MigrationPlan, to: EtcdSide): Promise<void> {
  for (const step of plan.steps) {
    if (await applied(step, to)) continue;
    throw changed(`${describeSubnets(step.lease.subnets)} of ${hostOf(step.lease.record)}`, to);
  }
  if (plan.config === null || await to.config.write(plan.config, null)) return;
  throw changed(`the configuration "${to.config.name}"`, to);
}

async function applied(step: Step, { table }: EtcdSide): Promise<boolean> {
  const { subnets, record, expires } = step.lease;
  if (step.type === "create") return await table.createUntil(subnets, record, expires) !== null;
  return !isLost(await table.updateUntil(step.there, record, expires));
}

function changed(what: string, { api }: EtcdSide): Failure {
  return new Failure(`write ${what} to ${api}: somebody else wrote there just now; run it again`);
}
