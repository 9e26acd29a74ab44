/**
 * What the watches of etcd's two APIs tell, as one: a subnet's records in both are one lease.
 *
 * A subnet with two owners was given away twice, by daemons that know one API each. It is reported, and the older record counts.
 * How old a record is neither API says; so it is the one that was known before, and where both were found at once the one
 * whose last write lies further back (a reservation before all, v2 where they are equal). What counts goes on counting while
 * both are there.
 */
import type { Instant } from "../../../model/clock.ts";
import { describeSubnets, type Lease } from "../../../model/lease.ts";
import { formatLeaseKey, sameRecord } from "../../../model/lease_codec.ts";
import type { Log } from "../../../observe/log.ts";
import { sameHost } from "../../choice.ts";
import { joined } from "./lease.ts";
import type { SideName } from "../side.ts";
import { hostOf } from "../../host_name.ts";
import { mirrorOf } from "./mirror.ts";
import type { StoreEvent, Unreadable } from "../../store.ts";

export type Entry = Lease | Unreadable;
export type Entries = ReadonlyMap<string, Entry>;

/** In this order everywhere. */
export const SIDES = ["v2", "v3"] as const;

type Outage = StoreEvent & { readonly type: "outage" };

class Side {
  readonly entries = new Map<string, Entry>();
  inSync = false;
  outage: Outage | null = null;

  /** The keys that may have changed. */
  take(event: StoreEvent): Set<string> {
    switch (event.type) {
      case "snapshot": {
        const keys = new Set(this.entries.keys());
        this.entries.clear();
        for (const each of [...event.leases, ...event.unreadable]) this.#put(each, keys);
        this.inSync = true;
        return keys;
      }
      case "put":
        return this.#put(event.lease);
      case "unreadable":
        return this.#put(event.unreadable);
      case "gone":
        this.entries.delete(event.key);
        return new Set([event.key]);
      case "delete": {
        const key = formatLeaseKey(event.subnets);
        this.entries.delete(key);
        return new Set([key]);
      }
      default:
        return new Set();
    }
  }

  #put(entry: Entry, keys = new Set<string>()): Set<string> {
    const key = "reason" in entry ? entry.key : formatLeaseKey(entry.subnets);
    this.entries.set(key, entry);
    return keys.add(key);
  }
}

export interface BothViewOptions {
  /** When a lease in v3 ends, exactly: its watch does not say. */
  endInV3(lease: Lease): Promise<Instant | null>;
  readonly log?: Log | undefined;
}

export class BothView {
  readonly #sides = { v2: new Side(), v3: new Side() };
  readonly #options: BothViewOptions;
  /** What was told last of each key. */
  readonly #told = new Map<string, Entry>();
  /** Who counts, of each subnet with two owners; the owners as part of the key. */
  readonly #verdicts = new Map<string, SideName>();

  constructor(options: BothViewOptions) {
    this.#options = options;
  }

  /** Null while not everything is known: before both were read, and in an outage of either. */
  entries(): Readonly<Record<SideName, Entries>> | null {
    const { v2, v3 } = this.#sides;
    const known = [v2, v3].every(({ inSync, outage }) => inSync && outage === null);
    return known ? { v2: v2.entries, v3: v3.entries } : null;
  }

  /** Takes an event of one side in; what there is to tell then. */
  async take(name: SideName, event: StoreEvent): Promise<StoreEvent[]> {
    const side = this.#sides[name];
    if (event.type === "outage" || event.type === "recovered") return this.#outage(side, name, event);
    const keys = side.take(event);
    if (!this.#sides.v2.inSync || !this.#sides.v3.inSync) return [];
    if (event.type === "snapshot") return [await this.#snapshot(event.restored === true)];
    const told: StoreEvent[] = [];
    for (const key of keys) told.push(...await this.#tell(key));
    return told;
  }

  #outage(side: Side, name: SideName, event: StoreEvent & { type: "outage" | "recovered" }): StoreEvent[] {
    const before = this.#out();
    side.outage = event.type === "outage" ? { ...event, error: `etcd's ${name} API: ${event.error}` } : null;
    const now = this.#out();
    const same = (before === null) === (now === null) && before?.refused === now?.refused;
    if (same) return [];
    return [now ?? { type: "recovered" }];
  }

  /** Of the side that refuses us where one does. */
  #out(): Outage | null {
    const out = SIDES.flatMap((name) => this.#sides[name].outage ?? []);
    return out.find(({ refused }) => refused) ?? out[0] ?? null;
  }

  async #snapshot(restored: boolean): Promise<StoreEvent> {
    const leases: Lease[] = [];
    const unreadable: Unreadable[] = [];
    const keys = new Set([...this.#sides.v2.entries.keys(), ...this.#sides.v3.entries.keys()]);
    const found = new Map<string, Entry>();
    for (const key of keys) {
      const entry = (await this.#join(key))!;
      found.set(key, entry);
      if ("reason" in entry) unreadable.push(entry);
      else leases.push(entry);
    }
    this.#told.clear();
    for (const [key, entry] of found) this.#told.set(key, entry);
    return { type: "snapshot", leases, unreadable, restored };
  }

  async #tell(key: string): Promise<StoreEvent[]> {
    const before = this.#told.get(key);
    const entry = await this.#join(key);
    if (entry === null) {
      this.#told.delete(key);
      if (before === undefined) return [];
      return [before.subnets ? { type: "delete", subnets: before.subnets } : { type: "gone", key }];
    }
    this.#told.set(key, entry);
    if ("reason" in entry) {
      const told = before !== undefined && "reason" in before && before.reason === entry.reason;
      return told ? [] : [{ type: "unreadable", unreadable: entry }];
    }
    return before !== undefined && alike(before, entry) ? [] : [{ type: "put", lease: entry }];
  }

  /** What stands for a key on both sides together; null where nothing does. */
  async #join(key: string): Promise<Entry | null> {
    const [two, three] = [this.#sides.v2.entries.get(key), this.#sides.v3.entries.get(key)];
    const [v2, v3] = [lease(two), lease(three)];
    if (v2 === null && v3 === null) return two ?? three ?? null;
    if (v2 === null || v3 === null || sameHost(v2.record, v3.record)) return joined({ v2, v3 });
    const counts = await this.#judge(key, v2, v3);
    return joined(counts === "v2" ? { v2, v3: null } : { v2: null, v3 });
  }

  /** Which of two owners counts. A mirror of a record that is gone never does. */
  async #judge(key: string, v2: Lease, v3: Lease): Promise<SideName> {
    if (mirrorOf(v3.record) !== null) return "v2";
    if (mirrorOf(v2.record) !== null) return "v3";
    const owners = `${key} ${hostOf(v2.record)} ${hostOf(v3.record)}`;
    const verdict = this.#verdicts.get(owners) ?? this.#knownBefore(key, v2, v3) ?? await this.#older(v2, v3);
    if (!this.#verdicts.has(owners)) this.#report(verdict, v2, v3);
    this.#verdicts.set(owners, verdict);
    return verdict;
  }

  #knownBefore(key: string, v2: Lease, v3: Lease): SideName | null {
    const before = lease(this.#told.get(key));
    if (before === null) return null;
    return sameHost(before.record, v2.record) ? "v2" : sameHost(before.record, v3.record) ? "v3" : null;
  }

  async #older(v2: Lease, v3: Lease): Promise<SideName> {
    // Out of reach: what is told then is told again when it is back.
    const end = await this.#options.endInV3(v3).catch(() => v3.expires);
    return (end ?? 0) < (v2.expires ?? 0) ? "v3" : "v2";
  }

  #report(verdict: SideName, v2: Lease, v3: Lease): void {
    const counts = verdict === "v2" ? v2 : v3;
    this.#options.log?.error(
      `subnet ${describeSubnets(v2.subnets)} has two owners: ${hostOf(v2.record)} in etcd's v2 API and ` +
        `${hostOf(v3.record)} in v3; the older, ${
          hostOf(counts.record)
        }, counts. Remove one record and restart its ` +
        "daemon, and give each side a SubnetMin and SubnetMax of its own",
    );
  }
}

function lease(entry: Entry | undefined): Lease | null {
  return entry === undefined || "reason" in entry ? null : entry;
}

function alike(before: Entry, now: Lease): boolean {
  return !("reason" in before) && before.version === now.version &&
    sameRecord(before.record, now.record);
}
