/**
 * Nexthop objects: a gateway on a device, which routes name by its id (Linux 5.3).
 *
 * The kernel removes those of a device that goes down or away, together with the routes that use them, and tells of neither:
 * the event of the device has to do. Removing one removes the routes that use it. A group, a blackhole and the like say so as
 * their type: they never equal a plain one, and none is ever made here.
 */
import type { Change, Netlink, NexthopRecord } from "../../ffi/records.ts";
import { remembered } from "../model/memo.ts";
import type { ObjectOf } from "../model/objects.ts";
import type { KindRules, ObservedOf, OperationOn, Verb } from "../model/plan.ts";
import type { Driver } from "./driver.ts";
import type { Owner } from "../model/owner.ts";
import { deviceStandings } from "./links.ts";
import type { LinkTable } from "./link_table.ts";
import { applyChanges, type Translation } from "./outcomes.ts";
import { nexthopStanding } from "./ownership.ts";

export const nexthopRules: KindRules<"nexthop"> = {
  kind: "nexthop",
  marks: [],
  needsRecreate: () => false,
  print: printNexthop,
};

export function nexthopDriver(netlink: Netlink): Driver<"nexthop"> {
  const observe = remembered(observeNexthop);
  return {
    rules: [nexthopRules],
    scope: "network",
    read: async (owner, links) => {
      const table = await links();
      const records = await netlink.nexthops();
      return records.flatMap((record) => observe(record, table, owner) ?? []);
    },
    apply: async (operations, links) => {
      const table = await links();
      const translate = (operation: OperationOn<"nexthop">) => translateNexthop(operation, table);
      return await applyChanges(nexthopRules, operations, translate, (all) => netlink.applyNexthops(all));
    },
  };
}

/** Null for what is nobody's business here. */
export function observeNexthop(
  record: NexthopRecord,
  table: LinkTable,
  owner: Owner,
): ObservedOf<"nexthop"> | null {
  const object = nexthopObject(record, table);
  const standing = nexthopStanding(object, owner, deviceStandings(table, owner));
  return standing && { ...object, standing };
}

function nexthopObject(
  { id, gateway, index, onlink, protocol, special }: NexthopRecord,
  table: LinkTable,
): ObjectOf<"nexthop"> {
  const device = table.nameOf(index);
  return {
    kind: "nexthop",
    key: String(id),
    ...(device === null ? {} : { on: device }),
    fields: { id, gateway, device, onlink, type: special ?? "unicast", protocol },
  };
}

const verbs: Readonly<Record<Verb, Change<NexthopRecord>["verb"]>> = {
  create: "create",
  modify: "replace",
  recreate: "replace",
  delete: "delete",
};

function translateNexthop(
  { verb, object }: OperationOn<"nexthop">,
  table: LinkTable,
): Translation<NexthopRecord> {
  const { id, gateway, device, onlink, protocol } = object.fields;
  const index = device === null ? null : table.indexOf(device);
  if (index === null && verb !== "delete") return { impossible: `there is no device "${device}"` };
  const record = { id, gateway, index: index ?? 0, onlink, protocol, special: null };
  return [{ verb: verbs[verb], record }];
}

function printNexthop({ fields }: ObjectOf<"nexthop">): string {
  const { id, gateway, device, onlink, type, protocol } = fields;
  const words = [`id ${id}`];
  if (type !== "unicast") words.push(`${type}`);
  if (gateway !== null) words.push(`via ${gateway}`);
  if (device !== null) words.push(`dev ${device}`);
  if (onlink) words.push("onlink");
  words.push(`proto ${protocol}`);
  return words.join(" ");
}
