/**
 * What the kernel tells of single objects, from the monitor's changes to objects with their standing (`Told`).
 *
 * - A device of ours that changes takes much along, and not all of that is told: then only a whole reading will do. So it is
 *   with any device that goes down or away, for routes and nexthop objects on it (`Told` of a link; the reader knows what
 *   stands there).
 * - Peers of userspace tunnels stand in this process: nobody but we change them, and what we applied is what stands.
 * - Sysctls and the firewall are not told of at all.
 */
import type { NetlinkChange, NetlinkMonitor, NexthopRecord, RouteRecord } from "../../ffi/records.ts";
import type { ObjectOf } from "../model/objects.ts";
import { ROUTE_PROTOCOL } from "../model/objects.ts";
import type { Owner } from "../model/owner.ts";
import type { Outcome, Told } from "../model/plan.ts";
import type { KernelChanges } from "./kernel.ts";
import { LinkTable } from "./link_table.ts";
import { deviceStandings } from "./links.ts";
import { observeEntry } from "./neighbour_driver.ts";
import { observeNexthop } from "./nexthops.ts";
import { isBare, observeRoute, routeObject } from "./routes.ts";

export class KernelNews {
  readonly #readLinks: () => Promise<LinkTable>;
  /** The devices as of the last whole reading, or the last answer. */
  #seen = new LinkTable([]);
  #monitor: NetlinkMonitor | null = null;
  /** Of peers of tunnels, since they were asked for last. */
  #peers: Told[] = [];
  #tunnelsChanged = false;
  #elsewhere = false;

  constructor(readLinks: () => Promise<LinkTable>) {
    this.#readLinks = readLinks;
  }

  /** Everything is about to be read, with these devices. */
  reading(table: LinkTable): void {
    this.#seen = table;
  }

  /** Listens to this monitor from now on. */
  listen(monitor: NetlinkMonitor, signal: AbortSignal): void {
    this.#monitor = monitor;
    signal.addEventListener("abort", () => {
      if (this.#monitor === monitor) this.#monitor = null;
    }, { once: true });
  }

  /** A route has changed that is none of ours, nor where ours are. */
  elsewhere(): void {
    this.#elsewhere = true;
  }

  /** What has become of operations. */
  applied(outcomes: readonly Outcome[]): void {
    for (const { operation: { verb, object }, error } of outcomes) {
      if (object.kind === "tunnel") this.#tunnelsChanged = true;
      if (object.kind !== "peer" || error !== null) continue;
      const now = verb === "delete" ? null : { ...object, standing: "ours" as const };
      this.#peers.push({ kind: "peer", key: object.key, now, replaces: true });
    }
  }

  async take(owner: Owner): Promise<KernelChanges> {
    const { changes, lost } = this.#monitor?.take() ?? { changes: [], lost: true };
    const before = this.#seen;
    // Names first: what is told of a device that is new is told after it.
    const table = this.#seen = changes.some(({ kind }) => kind === "link") ? await this.#readLinks() : before;
    const told = changes.map((change) => toldOf(change, before, table, owner));
    const single = told.filter((each) => each !== "all");
    // A device may be gone, or another one, before that is told.
    const whole = !lost && !this.#tunnelsChanged && single.length === told.length &&
      haveSameDevices(before, table, owner);
    const underlay = this.#elsewhere || lost || changes.some(concernsUnderlay);
    const answer = {
      told: whole ? [...single.flat(), ...this.#peers] : null,
      underlay,
    };
    this.#peers = [];
    this.#tunnelsChanged = false;
    this.#elsewhere = false;
    return answer;
  }
}

/** Which interface is ours, and how others are reached, hangs on devices, addresses and others' routes. */
function concernsUnderlay(change: NetlinkChange): boolean {
  if (change.kind === "link" || change.kind === "address") return true;
  return change.kind === "route" && change.record.protocol !== ROUTE_PROTOCOL;
}

/** `all`: more has changed than is told. */
function toldOf(
  change: NetlinkChange,
  before: LinkTable,
  table: LinkTable,
  owner: Owner,
): readonly Told[] | "all" {
  switch (change.kind) {
    case "link":
    case "address": {
      const name = before.nameOf(change.index) ?? table.nameOf(change.index);
      if (name !== null && isOurs(name, before, table, owner)) return "all";
      const stays = change.kind === "address" || (change.up && !change.gone);
      return stays || name === null ? [] : [{ kind: "link", key: name, now: null, replaces: false }];
    }
    case "route":
      return change.record.table === MAIN_TABLE ? routeTold(change, table, owner) : [];
    case "nexthop": {
      const now = change.gone ? null : observeNexthop(change.record, table, owner);
      return [{ kind: "nexthop", key: String(change.record.id), now, replaces: change.replaces }];
    }
    case "neighbour":
      return neighbourTold(change, table, owner);
  }
}

function haveSameDevices(before: LinkTable, table: LinkTable, owner: Owner): boolean {
  if (before === table) return true;
  const ours = (links: LinkTable) => links.records.filter(({ name }) => isOurs(name, before, table, owner));
  const [was, is] = [ours(before), ours(table)];
  return was.length === is.length && was.every((record) => is.includes(record));
}

/** Also a device that has our name and is not ours yet: it may be from now on. */
function isOurs(name: string, before: LinkTable, table: LinkTable, owner: Owner): boolean {
  return owner.devices.includes(name) ||
    [before, table].some((links) => deviceStandings(links, owner).has(name));
}

type Of<K extends NetlinkChange["kind"]> = Extract<NetlinkChange, { readonly kind: K }>;

function routeTold(
  { record, gone, replaces }: Of<"route">,
  table: LinkTable,
  owner: Owner,
): readonly Told[] | "all" {
  // Where it leads is its nexthop object's to say, which is known to a reading only.
  if (isBare(record)) return "all";
  const was: ObjectOf<"route"> | undefined = gone ? routeObject(record, table) : undefined;
  const now = gone ? null : observeRoute(record, table, owner, none);
  const { key } = was ?? now ?? routeObject(record, table);
  return [{ kind: "route", key, now, ...(was && { was }), replaces }];
}

/** The kernel may tell of an entry that goes as one that has failed first. */
function neighbourTold(
  { record, gone, replaces }: Of<"neighbour">,
  table: LinkTable,
  owner: Owner,
): readonly Told[] {
  const device = table.nameOf(record.index);
  if (device === null) return [];
  const now = gone ? null : observeEntry(record, table, owner);
  const isFdb = record.table === "fdb";
  // An entry of the bridge that the device is a port of is in another table.
  if (isFdb && (record.flags & NTF_SELF) === 0) return [];
  const key = `${device} ${isFdb ? record.mac : record.address}`;
  return [{ kind: isFdb ? "fdb" : "neighbour", key, now, replaces }];
}

/** RT_TABLE_MAIN. */
const MAIN_TABLE: RouteRecord["table"] = 254;
/** linux/neighbour.h. */
const NTF_SELF = 0x02;
const none: readonly NexthopRecord[] = [];
