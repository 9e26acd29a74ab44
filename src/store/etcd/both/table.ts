/**
 * `LeaseTable` on both of etcd's APIs. There is no transaction across the two: every claim goes to v2 first and then to v3, each
 * where the key is absent, and is read again in both; whoever then finds another's record in one of them gives the other
 * half back. So two hosts that do it this way never hold one subnet, and beside hosts that know one API only it is we who yield.
 *
 * - A half that is missing (its key was removed, its host stood in one API before) is made when the lease is renewed or written.
 * - A mirror of ours becomes our record when we write it.
 * - Where the second half can't be reached, the first stays and is found as ours at the next try.
 */
import type { Lease, LeaseRecord, Subnets } from "../../../model/lease.ts";
import { formatLeaseKey, sameRecord } from "../../../model/lease_codec.ts";
import { sameHost } from "../../choice.ts";
import { type Halves, halvesOf, joined } from "./lease.ts";
import { type CopyTable, isAsWritten, type LeaseTable } from "../../lease_table.ts";
import { mirrorOf } from "./mirror.ts";
import { isLost, type Listing, type Look, type Lost, type Unreadable } from "../../store.ts";

type Found = Lease | Unreadable | null;

export class BothTable implements LeaseTable {
  readonly #v2: CopyTable;
  readonly #v3: CopyTable;

  constructor(v2: CopyTable, v3: CopyTable) {
    this.#v2 = v2;
    this.#v3 = v3;
  }

  /** One subnet that belongs to two hosts is listed twice. */
  async list(): Promise<Listing> {
    const [two, three] = await Promise.all([this.#v2.list(), this.#v3.list()]);
    return joinListings(two, three);
  }

  async create(subnets: Subnets, record: LeaseRecord): Promise<Lease | null> {
    const v2 = await make(this.#v2, subnets, record);
    if (v2 === null) return null;
    const v3 = await make(this.#v3, subnets, record);
    const ours = v3 !== null && await this.#stillOurs(subnets, record);
    if (ours) return joined({ v2, v3 });
    await this.#yield({ v2, v3 });
    return null;
  }

  async #stillOurs(subnets: Subnets, record: LeaseRecord): Promise<boolean> {
    const found = await Promise.all([this.#v2.find(subnets), this.#v3.find(subnets)]);
    return found.every((each) => isOurs(each, record));
  }

  /**
   * Of two halves the one that is not our run's decides: what it says is what was found, over both. A mirror of ours counts as
   * absent, and a half that is absent only makes the look incomplete.
   */
  async look(lease: Lease): Promise<Look> {
    const [two, three] = await Promise.all([this.#v2.find(lease.subnets), this.#v3.find(lease.subnets)]);
    const found = [two, three].map((half) => isMirrorOf(half, lease.record) ? null : half);
    const unreadable = found.find((half) => half !== null && "reason" in half);
    if (unreadable) return { found: unreadable, asWritten: false };
    const [v2 = null, v3 = null] = found as (Lease | null)[];
    if (v2 === null && v3 === null) return { found: null, asWritten: false };
    const known = halvesOf(lease);
    const halves = [[v2, known.v2], [v3, known.v3]] as const;
    const there = joined({ v2, v3 });
    const stranger = halves.find(([half, as]) => half !== null && !isOwnHalf(half, as, lease.record))?.[0];
    if (stranger) return { found: { ...there, record: stranger.record }, asWritten: false };
    const asWritten = halves.every(([half, as]) => half === null || (as !== null && isAsWritten(half, as)));
    return {
      found: asWritten ? { ...there, record: lease.record } : there,
      asWritten,
      incomplete: v2 === null || v3 === null || !sameRecord(v2.record, v3.record),
    };
  }

  async update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost> {
    const { v2, v3 } = halvesOf(lease);
    return await this.#write(
      { v2, v3 },
      () => v2 === null ? make(this.#v2, lease.subnets, record) : this.#v2.update(v2, record),
      () => v3 === null ? make(this.#v3, lease.subnets, record) : this.#v3.update(v3, record),
      lease,
      record,
    );
  }

  /** Extends each half as it was written; what is missing is made, what is a mirror or says something else becomes ours. */
  async renew(lease: Lease): Promise<Lease | Lost> {
    const { subnets, record } = lease;
    const { v2, v3 } = halvesOf(lease);
    const extend = async (table: CopyTable, half: Lease) => {
      const isRight = sameRecord(half.record, record);
      const kept = isRight ? await table.renew(half) : await table.update(half, record);
      if (!isLost(kept)) return kept;
      // Removed by itself, while the other half stands; or mirrored from that already.
      return kept.lost === "absent" || isMirrorOf(await table.find(subnets), record) ? null : kept;
    };
    const [two, three] = [v2 && await extend(this.#v2, v2), v3 && await extend(this.#v3, v3)];
    if (two === null && three === null) return { lost: "absent" };
    return await this.#write(
      { v2, v3 },
      () => two === null ? make(this.#v2, subnets, record) : Promise.resolve(two),
      () => three === null ? make(this.#v3, subnets, record) : Promise.resolve(three),
      lease,
      record,
    );
  }

  /** Writes both halves, v2 first. One that is another's now makes us yield the other. */
  async #write(
    before: Halves,
    first: () => Promise<Lease | Lost | null>,
    second: () => Promise<Lease | Lost | null>,
    lease: Lease,
    record: LeaseRecord,
  ): Promise<Lease | Lost> {
    const v2 = await first();
    if (v2 === null || isLost(v2)) return await this.#lose(v2, { v2: null, v3: before.v3 }, lease, record);
    const v3 = await second();
    if (v3 === null || isLost(v3)) return await this.#lose(v3, { v2, v3: null }, lease, record);
    return joined({ v2, v3 });
  }

  /** Nothing is given back where it was only we ourselves who wrote meanwhile. */
  async #lose(
    lost: Lost | null,
    held: Halves,
    { subnets, record: before }: Lease,
    record: LeaseRecord,
  ): Promise<Lost> {
    const found = await Promise.all([this.#v2.find(subnets), this.#v3.find(subnets)]);
    const stranger = found.find((each) => each !== null && !isOfRun(each, record) && !isOfRun(each, before));
    if (stranger) await this.#yield(held);
    return lost ?? lostTo(stranger ?? null);
  }

  /** v3 first, so that nobody finds the subnet free in v2 while v3 still has it. */
  async remove(lease: Lease): Promise<void> {
    await this.#yield(halvesOf(lease));
  }

  async #yield({ v2, v3 }: Halves): Promise<void> {
    if (v3 !== null) await this.#v3.remove(v3);
    if (v2 !== null) await this.#v2.remove(v2);
  }
}

/** A half of the claim: where the key is absent, or a mirror of ours. */
async function make(table: CopyTable, subnets: Subnets, record: LeaseRecord): Promise<Lease | null> {
  const created = await table.create(subnets, record);
  if (created !== null) return created;
  const there = await table.find(subnets);
  if (!isOurs(there, record) || mirrorOf(there.record) === null) return null;
  const written = await table.update(there, record);
  return isLost(written) ? null : written;
}

function isOurs(found: Found | undefined, record: LeaseRecord): found is Lease {
  return found !== undefined && found !== null && !("reason" in found) && sameHost(found.record, record);
}

/** A copy of this host has its id, not its run. */
function isOfRun(found: Found, { mark }: LeaseRecord): found is Lease {
  return found !== null && !("reason" in found) && found.record.mark?.run === mark?.run;
}

/**
 * True for what our run wrote, and for what we know of our id from a run before: the other half was written since, and this one
 * could not be.
 */
function isOwnHalf(half: Lease, known: Lease | null, { mark }: LeaseRecord): boolean {
  const there = half.record.mark;
  if (there?.run === mark?.run) return true;
  return known !== null && isAsWritten(half, known) && there?.host === mark?.host;
}

/** True for what another made of our record in the other API. */
function isMirrorOf(found: Found, record: LeaseRecord): boolean {
  return isOfRun(found, record) && mirrorOf(found.record) !== null;
}

function lostTo(found: Found): Lost {
  if (found === null) return { lost: "absent" };
  return { lost: "taken", ...(!("reason" in found) && { by: found.record }) };
}

/** Halves of one host become one lease; what can't be read on one side only is left out. */
export function joinListings(two: Listing, three: Listing): Listing {
  const v3 = new Map(three.leases.map((lease) => [formatLeaseKey(lease.subnets), lease]));
  const leases: Lease[] = [];
  for (const lease of two.leases) {
    const key = formatLeaseKey(lease.subnets);
    const other = v3.get(key) ?? null;
    const same = other !== null && sameHost(lease.record, other.record);
    leases.push(joined({ v2: lease, v3: same ? other : null }));
    if (same) v3.delete(key);
  }
  leases.push(...v3.values().map((lease) => joined({ v2: null, v3: lease })));
  const readable = new Set(leases.map(({ subnets }) => formatLeaseKey(subnets)));
  const unreadable = new Map([...two.unreadable, ...three.unreadable].map((each) => [each.key, each]));
  return { leases, unreadable: [...unreadable.values()].filter(({ key }) => !readable.has(key)) };
}
