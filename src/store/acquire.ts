/**
 * Taking a subnet, once for all stores that allocate (spec §4.1), on the conditional operations of a `LeaseTable`.
 *
 * One attempt looks at the whole table, and takes a subnet in the order of `model/identity.ts`; where it lost, it starts again
 * with a fresh view:
 *
 *     a record of ours, or one at our address that we may try ──► written again with our mark
 *     no such record ──► the previous subnet where it is free, else one of the first free ones ──► create if absent
 *     a record of ours that does not fit ──► remove it, look again
 *
 * - Nobody's record is ever overwritten or removed but as told above, and as it was read.
 * - Keys of two families can differ and still share a subnet, so that creating if absent is not enough: after creating, the
 *   table is read again, and of two records that overlap the later gives way. Every host decides alike, by `created`.
 * - A write whose reply was lost is found again as our own record by the next look.
 */
import { compatible, type Exhausted } from "../model/allocate.ts";
import type { Clock, Random } from "../model/clock.ts";
import { Failure } from "../model/errors.ts";
import type { Taking } from "../model/identity.ts";
import { families, type Family, formatIp } from "../model/ip.ts";
import { describeSubnets, type Lease, type LeaseRecord, subnetOf, type Subnets } from "../model/lease.ts";
import { type FamilyNetwork, networkOf } from "../model/network_config.ts";
import { describeOccupied, inTheWay, type Occupied } from "../model/occupied.ts";
import { subnetCount } from "../model/parse_config.ts";
import { formatPrefix, overlaps, type Prefix, samePrefix } from "../model/prefix.ts";
import { shownJson } from "../model/shown.ts";
import type { Log, LogFields } from "../observe/log.ts";
import { beats, type Candidate, chooseNew, held, isStray, preference, standings } from "./choice.ts";
import { hostOf } from "./host_name.ts";
import type { LeaseTable } from "./lease_table.ts";
import { untilAvailable } from "./outage.ts";
import { type Claim, isLost, type Listing, type Lost, type Unreadable } from "./store.ts";

export interface AcquireDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
}

/** Lost races in a row before giving up: each round somebody else won one, so this needs as many hosts starting at once. */
const ATTEMPTS = 30;
/** Milliseconds of back-off that are drawn from after the first lost race; grows with each. */
const BACKOFF_MS = 20;
/** Networks and routes that a message names. */
const MOST_NAMED = 5;

/**
 * Takes a subnet for the host in `claim.record`.
 *
 * @throws Failure where no subnet is free; the signal's reason on abort; whatever else the table throws, but for
 * StoreUnavailable, which is waited out
 */
export async function acquire(
  table: LeaseTable,
  claim: Claim,
  deps: AcquireDeps,
  signal: AbortSignal,
): Promise<Lease> {
  identityOf(claim.record);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const lease = await untilAvailable(() => tryOnce(table, claim, deps), deps, signal);
    if (lease !== null) return lease;
    await deps.clock.sleep(1 + deps.random.int(BACKOFF_MS * attempt), signal);
  }
  throw new Failure(
    `max retries reached trying to acquire a subnet: ${ATTEMPTS} times another host was faster; start again`,
  );
}

/** Null where the table changed under us: look again. */
async function tryOnce(table: LeaseTable, claim: Claim, deps: AcquireDeps): Promise<Lease | null> {
  const listing = await table.list();
  const { taking, unfit, duplicates } = standings(listing, claim);
  for (const lease of unfit) {
    reportRemoval(lease, claim, deps.log);
    await table.remove(lease);
  }
  if (taking.way !== "free") {
    for (const other of duplicates) reportDuplicate(taking.over.lease, other, deps.log);
    return await adopt(table, taking, claim, deps.log);
  }
  const strays = table.discard ? listing.unreadable.filter((each) => isStray(each, claim)) : [];
  for (const stray of strays) {
    reportStray(stray, deps.log);
    await table.discard?.(stray);
  }
  const had = [...unfit, ...strays.flatMap(({ misplaced }) => misplaced ?? [])];
  const view = had.length === 0 ? listing : await table.list();
  if (had.length > 0 && isContested(view, claim)) return null;
  return await takeFree(table, claim, preference(claim, had), view, deps);
}

/** True where there is a record of ours again: made, or changed before it could be removed. */
function isContested(view: Listing, claim: Claim): boolean {
  const { taking, unfit } = standings(view, claim);
  return taking.way !== "free" || unfit.length > 0;
}

/** Over a record that stands. */
async function adopt(
  table: LeaseTable,
  { over: { lease }, way, turn, after }: Exclude<Taking<Candidate>, { way: "free" }>,
  { record, self: { host, run } }: Claim,
  log?: Log,
): Promise<Lease | null> {
  const address = identityOf(record);
  const found = `Found lease (${describeSubnets(lease.subnets)}) for current IP (${address})`;
  const fields = fieldsOf(lease.subnets, record);
  if (way !== "trial") log?.info(`${found}, reusing`, fields);
  else log?.warn(`${found}, of another host; taking it if that host does not object`, fields);
  const mark = { host, run, turn, after };
  const result = await table.update(lease, { ...inheritExtra(record, lease.record), mark });
  return isLost(result) ? null : result;
}

async function takeFree(
  table: LeaseTable,
  claim: Claim,
  preferred: Subnets,
  view: Listing,
  deps: AcquireDeps,
): Promise<Lease | null> {
  const { record, self: { host, run } } = claim;
  const subnets = choose(claim, preferred, view, deps);
  const lease = await createAt(table, subnets, { ...record, mark: { host, run, turn: 1, after: null } });
  if (lease === null) return null;
  if (isLost(lease)) {
    deps.log?.info(`Another host took part of (${describeSubnets(subnets)}) first; taking another subnet`, {
      subnet: describeSubnets(subnets),
    });
    return null;
  }
  deps.log?.info(
    `Allocated lease (${describeSubnets(subnets)}) to current node (${identityOf(record)})`,
    fieldsOf(subnets, record),
  );
  return lease;
}

/**
 * A new record where nobody's subnet overlaps: of two records that do, the later gives way. Null where something stands at that
 * very key.
 */
export async function createAt(
  table: LeaseTable,
  subnets: Subnets,
  record: LeaseRecord,
): Promise<Lease | Lost | null> {
  const lease = await table.create(subnets, record);
  if (lease === null) return null;
  const winner = (await table.list()).leases.find((other) => beats(other, lease));
  if (winner === undefined) return lease;
  await table.remove(lease);
  return { lost: "taken", by: winner.record };
}

/** @throws Failure where no subnet is free */
function choose(claim: Claim, preferred: Subnets, view: Listing, { random, log }: AcquireDeps): Subnets {
  const chosen = chooseNew(claim, preferred, view, random);
  if ("exhausted" in chosen) throw new Failure(describeExhausted(chosen));
  for (const family of families) reportChoice(family, claim, preferred, chosen, view, log);
  return chosen;
}

/**
 * Members of a stored value that belong to nobody we know are kept when we write it again. `Speaks` is ours: it is what the
 * claim says. `Mirror` ends when the host itself writes (`etcd/both/mirror.ts`).
 */
function inheritExtra(claimed: LeaseRecord, stored: LeaseRecord): LeaseRecord {
  const { Speaks: _ours, Mirror: _mark, ...foreign } = stored.extra ?? {};
  const extra = { ...foreign, ...claimed.extra };
  return Object.keys(extra).length === 0 ? claimed : { ...claimed, extra };
}

function identityOf(record: LeaseRecord): string {
  const address = record.publicIp ?? record.publicIpv6;
  if (address !== null) return formatIp(address);
  throw new Failure("acquire a subnet: this host has no public IP address to be known by; give -public-ip");
}

// What people read.

function fieldsOf(subnets: Subnets, record: LeaseRecord): LogFields {
  return { subnet: describeSubnets(subnets), publicIp: identityOf(record) };
}

function reportDuplicate(kept: Lease, other: Lease, log?: Log): void {
  log?.warn(
    `Lease (${describeSubnets(other.subnets)}) has our public IP too; the older (${
      describeSubnets(kept.subnets)
    }) counts. ` +
      `Is another host using this address? Otherwise remove the record, or let it run out`,
    fieldsOf(other.subnets, other.record),
  );
}

function reportRemoval(lease: Lease, { config, record }: Claim, log?: Log): void {
  const found = `Found lease (${describeSubnets(lease.subnets)}) for current IP (${identityOf(record)})`;
  log?.warn(
    compatible(lease.subnets, config)
      ? `${found} but an older lease of another host overlaps it, deleting`
      : `${found} but not compatible with current config, deleting${
        lease.expires === null ? " (it was a reservation)" : ""
      }`,
    fieldsOf(lease.subnets, record),
  );
}

function reportStray({ key, misplaced }: Unreadable, log?: Log): void {
  const subnets = misplaced ? describeSubnets(misplaced.subnets) : "";
  log?.info(`Found our lease (${subnets}) at ${shownJson(key)}, where flannel can't bear it; moving it`);
}

function reportChoice(
  family: Family,
  { config, occupied = [] }: Claim,
  preferred: Subnets,
  chosen: Subnets,
  view: Listing,
  log?: Log,
): void {
  const network = networkOf(config, family);
  const [wanted, got] = [subnetOf(preferred, family), subnetOf(chosen, family)];
  if (network === null || got === null) return;
  if (samePrefix(wanted, got)) {
    log?.info(`Found previously leased subnet (${formatPrefix(got)}), reusing`, {
      subnet: formatPrefix(got),
    });
    return;
  }
  if (wanted !== null) {
    log?.warn(
      `Previously leased subnet (${formatPrefix(wanted)}) ${whyNot(wanted, view, occupied)}; taking another`,
      { subnet: formatPrefix(wanted) },
    );
  }
  const avoided = occupied.filter((each) => mayMeet(each, network)).map(describeOccupied);
  if (avoided.length > 0) {
    log?.info(`Leaving out what overlaps ${named(avoided)}`);
  }
  log?.info(`Picking subnet in range ${formatIp(network.subnetMin)} ... ${formatIp(network.subnetMax)}`);
}

/** True where a subnet of the network could be in its way. */
function mayMeet({ prefix, by }: Occupied, { family, network, subnetLen }: FamilyNetwork): boolean {
  return prefix.ip.family === family && overlaps(prefix, network) &&
    (by === "network" || prefix.length >= subnetLen);
}

/** The first few of many. */
function named(texts: readonly string[]): string {
  const more = texts.length - MOST_NAMED;
  return texts.slice(0, MOST_NAMED).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

function whyNot(wanted: Prefix, view: Listing, occupied: readonly Occupied[]): string {
  const holds = (each: Lease | Unreadable) => {
    const subnets = held(each);
    const subnet = subnets && subnetOf(subnets, wanted.ip.family);
    return subnet !== null && overlaps(subnet, wanted);
  };
  const holder = view.leases.find(holds);
  if (holder !== undefined) return `now belongs to ${hostOf(holder.record)}`;
  if (view.unreadable.some(holds)) return "has a record that can't be read";
  const other = inTheWay(wanted, occupied);
  return other ? `overlaps ${describeOccupied(other)}` : "is not compatible with current config";
}

/** Why there is nothing to take, and what to do. */
export function describeExhausted({ exhausted: network, inTheWay }: Exhausted): string {
  const { family, subnetLen, subnetMin, subnetMax } = network;
  const six = family === 6 ? "IPv6" : "";
  if (inTheWay.length > 0) {
    const range = `from ${formatIp(subnetMin)} to ${formatIp(subnetMax)}`;
    return `out of subnets: every free /${subnetLen} subnet ${range} overlaps what this host has: ` +
      `${named(inTheWay.map(describeOccupied))}; give a ${six}Network, ` +
      `${six}SubnetMin and ${six}SubnetMax that leave it out`;
  }
  return `out of subnets: all ${subnetCount(network)} /${subnetLen} subnets from ${formatIp(subnetMin)} ` +
    `to ${formatIp(subnetMax)} are taken; enlarge ${six}Network, give a longer ${six}SubnetLen, ` +
    `or remove the records of hosts that are gone`;
}
