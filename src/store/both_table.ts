/**
 * `LeaseTable` on both of etcd's APIs. There is no transaction across the two: every claim goes to v2 first and then to v3, each
 * where the key is absent, and is read again in both; whoever then finds another's record in one of them gives the other
 * half back. So two hosts that do it this way never hold one subnet, and beside hosts that know one API only it is we who yield.
 *
 * - A half that is missing (its key was removed, its host stood in one API before) is made when the lease is renewed or written.
 * - A mirror of ours becomes our record when we write it.
 * - Where the second half can't be reached, the first stays and is found as ours at the next try.
 */
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";
import { formatLeaseKey } from "../model/lease_codec.ts";
import { sameHost } from "./choice.ts";
import { type Halves, halvesOf, joined } from "./both_lease.ts";
import type { CopyTable, LeaseTable } from "./lease_table.ts";
import { mirrorOf } from "./mirror.ts";
import { isLost, type Listing, type Lost, type Unreadable } from "./store.ts";

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
    const v2 = await this.#v2.create(subnets, record);
    if (v2 === null) return null;
    const v3 = await this.#second(subnets, record);
    const ours = v3 !== null && await this.#stillOurs(subnets, record);
    if (ours) return joined({ v2, v3 });
    await this.#yield({ v2, v3 });
    return null;
  }

  /** The claim in v3: where the key is absent, or a mirror of ours. */
  async #second(subnets: Subnets, record: LeaseRecord): Promise<Lease | null> {
    const created = await this.#v3.create(subnets, record);
    if (created !== null) return created;
    const there = await this.#v3.find(subnets);
    if (!isOurs(there, record) || mirrorOf(there.record) === null) return null;
    const written = await this.#v3.update(there, record);
    return isLost(written) ? null : written;
  }

  async #stillOurs(subnets: Subnets, record: LeaseRecord): Promise<boolean> {
    const found = await Promise.all([this.#v2.find(subnets), this.#v3.find(subnets)]);
    return found.every((each) => isOurs(each, record));
  }

  async update(lease: Lease, record: LeaseRecord): Promise<Lease | Lost> {
    const { v2, v3 } = halvesOf(lease);
    return await this.#write(
      { v2, v3 },
      () => v2 === null ? this.#v2.create(lease.subnets, record) : this.#v2.update(v2, record),
      () => v3 === null ? this.#second(lease.subnets, record) : this.#v3.update(v3, record),
      lease,
    );
  }

  /** Reads both, then extends each: what is missing is made, what is a mirror becomes ours. */
  async renew(lease: Lease): Promise<Lease | Lost> {
    const { subnets, record } = lease;
    const [two, three] = await Promise.all([this.#v2.find(subnets), this.#v3.find(subnets)]);
    if (two === null && three === null) return { lost: "absent" };
    const [v2, v3] = [ours(two, record), ours(three, record)];
    const stranger = v2 === null && two !== null ? two : v3 === null && three !== null ? three : null;
    if (stranger !== null) {
      await this.#yield({ v2, v3 });
      return lostTo(stranger);
    }
    const said = joined({ v2, v3 }).record;
    // A mirror goes with its origin, and what it mirrored is gone.
    if (mirrorOf(said) !== null) return { lost: "absent" };
    const extend = (table: CopyTable, half: Lease) =>
      mirrorOf(half.record) === null ? table.renew(half) : table.update(half, said);
    return await this.#write(
      { v2, v3 },
      () => v2 === null ? this.#v2.create(subnets, said) : extend(this.#v2, v2),
      () => v3 === null ? this.#second(subnets, said) : extend(this.#v3, v3),
      lease,
    );
  }

  /** Writes both halves, v2 first. One that is another's now makes us yield the other. */
  async #write(
    before: Halves,
    first: () => Promise<Lease | Lost | null>,
    second: () => Promise<Lease | Lost | null>,
    lease: Lease,
  ): Promise<Lease | Lost> {
    const v2 = await first();
    if (v2 === null || isLost(v2)) return await this.#lose(v2, { v2: null, v3: before.v3 }, lease);
    const v3 = await second();
    if (v3 === null || isLost(v3)) return await this.#lose(v3, { v2, v3: null }, lease);
    return joined({ v2, v3 });
  }

  /** Nothing is given back where it was only we ourselves who wrote meanwhile. */
  async #lose(lost: Lost | null, held: Halves, { subnets, record }: Lease): Promise<Lost> {
    const found = await Promise.all([this.#v2.find(subnets), this.#v3.find(subnets)]);
    const stranger = found.find((each) => each !== null && !isOurs(each, record));
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

function isOurs(found: Found | undefined, record: LeaseRecord): found is Lease {
  return ours(found ?? null, record) !== null;
}

function ours(found: Found, record: LeaseRecord): Lease | null {
  return found !== null && !("reason" in found) && sameHost(found.record, record) ? found : null;
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
