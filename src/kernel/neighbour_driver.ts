/**
 * Reads and applies neighbours and FDB entries: one netlink family, so one dump and one batch for both.
 *
 * New entries are made with EXCL, so that an administrator's permanent entry is never overwritten. Where something stands
 * there already, it is looked at: an entry that the kernel learned by itself (it counts as absent) is replaced, anything
 * permanent makes the operation fail.
 */
import type { Change, NeighbourRecord, Netlink } from "../../ffi/records.ts";
import type { ObjectOf } from "../model/objects.ts";
import { remembered } from "../model/memo.ts";
import type { KindRules, ObservedOf, OperationOn, Outcome, Verb } from "../model/plan.ts";
import type { Driver, LinkSource } from "./driver.ts";
import { fdbObject, fdbRecord, fdbRules } from "./fdb.ts";
import type { Owner } from "../model/owner.ts";
import { deviceStandings } from "./links.ts";
import type { LinkTable } from "./link_table.ts";
import { neighbourObject, neighbourRecord, neighbourRules, PERMANENT } from "./neighbours.ts";
import { applyChanges, EEXIST, type Translation } from "./outcomes.ts";
import { fdbStanding, neighbourStanding } from "./ownership.ts";

/** What this driver owns. */
type Entry = "neighbour" | "fdb";
type EntryOperation = OperationOn<Entry>;
type ObservedEntry = ObservedOf<"neighbour"> | ObservedOf<"fdb">;

const verbs: Readonly<Record<Verb, Change<NeighbourRecord>["verb"]>> = {
  create: "create",
  modify: "replace",
  recreate: "replace",
  delete: "delete",
};

export function neighbourDriver(netlink: Netlink): Driver<Entry> {
  return new NeighbourDriver(netlink);
}

class NeighbourDriver implements Driver<Entry> {
  readonly rules: Driver<Entry>["rules"] = [neighbourRules, fdbRules];
  readonly scope = "network";
  /** Indexes of our devices as last read: every dump names all of them, so that it finds again what the one before found. */
  #ours: readonly number[] = [];

  readonly #observe = remembered(observeEntry);

  constructor(readonly netlink: Netlink) {}

  async read(owner: Owner, links: LinkSource): Promise<ObservedEntry[]> {
    const table = await links();
    const devices = deviceStandings(table, owner);
    this.#ours = [...devices.keys()].map((name) => table.indexOf(name)!);
    const records = await this.netlink.neighbours(this.#ours);
    return records.flatMap((record) => this.#observe(record, table, owner) ?? []);
  }

  async apply(operations: readonly EntryOperation[], links: LinkSource): Promise<Outcome[]> {
    const table = await links();
    const translate = (operation: EntryOperation) => translateEntry(operation, table);
    return await applyChanges(printer, operations, translate, (changes) => this.#send(changes));
  }

  async #send(changes: readonly Change<NeighbourRecord>[]): Promise<readonly number[]> {
    const results = [...await this.netlink.applyNeighbours(changes)];
    const taken = [...results.keys()].filter((i) => results[i] === -EEXIST && changes[i]?.verb === "create");
    if (taken.length === 0) return results;
    const indexes = new Set([...this.#ours, ...changes.map(({ record }) => record.index)]);
    const standing = await this.netlink.neighbours([...indexes]);
    const permanent = new Set(standing.filter((r) => (r.state & PERMANENT) !== 0).map(place));
    const retried = taken.filter((i) => !permanent.has(place(changes[i]!.record)));
    const again = await this.netlink.applyNeighbours(
      retried.map((i) => ({ verb: "replace", record: changes[i]!.record })),
    );
    for (const [n, i] of retried.entries()) results[i] = again[n] ?? 0;
    return results;
  }
}

/** Null for what is nobody's business here. */
export function observeEntry(record: NeighbourRecord, table: LinkTable, owner: Owner): ObservedEntry | null {
  const device = table.nameOf(record.index);
  if (device === null) return null;
  const devices = deviceStandings(table, owner);
  if (record.table === "fdb") {
    const object = fdbObject(record, device);
    const standing = object && fdbStanding(object, devices);
    return standing && { ...object, standing };
  }
  const object = neighbourObject(record, device);
  const standing = neighbourStanding(object, owner, devices);
  return standing && { ...object, standing };
}

/** Only what an error message needs: the two kinds share a batch. */
const printer: KindRules<Entry> = {
  kind: "neighbour",
  marks: [],
  needsRecreate: () => false,
  print: (object) =>
    isFdb(object) ? fdbRules.print(object) : neighbourRules.print(object as ObjectOf<"neighbour">),
};

function isFdb(object: ObjectOf<Entry>): object is ObjectOf<"fdb"> {
  return object.kind === "fdb";
}

function translateEntry({ verb, object }: EntryOperation, table: LinkTable): Translation<NeighbourRecord> {
  const { device } = object.fields;
  const index = table.indexOf(device);
  if (index === null) return verb === "delete" ? [] : { impossible: `there is no device "${device}"` };
  const record = isFdb(object)
    ? fdbRecord(object, index)
    : neighbourRecord(object as ObjectOf<"neighbour">, index);
  return [{ verb: verbs[verb], record }];
}

/** What the kernel tells entries apart by. */
function place({ table, index, address, mac }: NeighbourRecord): string {
  return `${table} ${index} ${table === "fdb" ? mac : address}`;
}
