/**
 * Network devices: VXLAN devices are made, changed and removed; of any other device only what every device has is changed.
 * A TUN device is made by the tunnel that carries its packets (`tunnels.ts`), just before it is changed here.
 *
 * The kernel changes the local address (of the same family), lower device, TTL, TOS, learning and ageing of a VXLAN device in
 * place, as well as MTU, MAC and alias; for the rest it has to be made anew, which takes everything on it along.
 * Read-back shows all settings that the kernel tells of. Fields are named as in `ip -d link`; `lower` is the underlay device.
 */
import type { Change, LinkRecord, Netlink, VxlanRecord } from "../../ffi/records.ts";
import { type FieldValue, type LinkFields, type ObjectOf, sameValue } from "../model/objects.ts";
import { remembered } from "../model/memo.ts";
import type { KindRules, ObservedOf, OperationOn, Outcome } from "../model/plan.ts";
import { ownerOfDevice } from "../model/device_owner.ts";
import type { Driver } from "./driver.ts";
import type { Owner } from "../model/owner.ts";
import type { LinkTable } from "./link_table.ts";
import { applyChanges, failed, type Translation } from "./outcomes.ts";
import { type DeviceStandings, linkStanding } from "./ownership.ts";
import { ownerOfPort } from "./tunnel/port_owner.ts";

/** What the kernel decides when a device is made and never again. */
const fixed = ["type", "vni", "port", "gbp", "proxy", "rsc", "l2miss", "l3miss", "udpCsum"] as const;
/** What goes down in the VXLAN part of a change. */
const changeable = ["lower", "local", "group", "ttl", "tos", "ageing", "learning"] as const;

export const linkRules: KindRules<"link"> = {
  kind: "link",
  marks: ["alias"],
  needsRecreate: (desired, observed) =>
    fixed.some((field) => differs(desired, observed, field)) ||
    differs(desired, observed, "local") && isV6(desired.fields.local) !== isV6(observed.fields.local),
  print: printLink,
};

export function linkDriver(netlink: Netlink): Driver<"link"> {
  return {
    rules: [linkRules],
    scope: "network",
    read: async (owner, links) => readLinks(await links(), owner),
    apply: async (operations, links) => {
      const table = await links();
      const translate = (operation: OperationOn<"link">) => translateLink(operation, table);
      const outcomes = await applyChanges(
        linkRules,
        operations,
        translate,
        (changes) => netlink.applyLinks(changes),
      );
      return outcomes.map((outcome) => explained(outcome, table));
    },
  };
}

/** Of a VXLAN device that can't be made because of another's number or port: whose that is. */
function explained({ operation, error }: Outcome, table: LinkTable): Outcome {
  if (operation.object.kind !== "link") return { operation, error };
  const { key, fields } = operation.object;
  const sameVni = error?.includes("(EEXIST)") === true;
  const taken = sameVni || error?.includes("(EADDRINUSE)");
  if (!taken || fields.type !== "vxlan") return { operation, error };
  const rival = table.records.find(({ name, vxlan }) =>
    name !== key && vxlan?.port === fields.port &&
    // One socket serves all devices of a port that read packets alike; one with VNI 0 reads them for others.
    (sameVni ? vxlan?.vni === fields.vni : vxlan?.gbp !== fields.gbp || vxlan?.vni === 0)
  );
  const who = rival ? describeRival(rival) : ownerOfPort(fields.port ?? PORT);
  const what = sameVni ? `VNI ${fields.vni} at port ${fields.port}` : `port ${fields.port}`;
  const wayOut = `choose another ${sameVni ? "VNI or Port" : "Port"} in the network's Backend`;
  return failed(
    linkRules,
    operation as OperationOn<"link">,
    `${what} is taken${who === "" ? "" : `: ${who}`}; ${wayOut}`,
  );
}

function describeRival(record: LinkRecord): string {
  const owner = ownerOfDevice(record);
  return `the VXLAN device "${record.name}"${owner === "" ? "" : `, ${owner},`} has it`;
}

/** Devices that are ours, could be, or have our names. */
export function readLinks(table: LinkTable, owner: Owner): ObservedOf<"link">[] {
  return table.records.flatMap((record) => {
    const link = linkObject(record, table);
    const standing = linkStanding(link, owner);
    return standing === null ? [] : [{ ...link, standing }];
  });
}

/** Whose the devices are that carry our names; those that are not there are not in it. */
export const deviceStandings: (table: LinkTable, owner: Owner) => DeviceStandings = remembered(
  (table: LinkTable, owner: Owner) => {
    const named = readLinks(table, owner).filter((link) => owner.devices.includes(link.key));
    return new Map(named.map((link) => [link.key, link.standing]));
  },
);

/** A device as an object with every field that the kernel tells of. */
export function linkObject(record: LinkRecord, table: LinkTable): ObjectOf<"link"> {
  const { name, index: _, vxlan, ...common } = record;
  if (vxlan === null) return { kind: "link", key: name, fields: common };
  return { kind: "link", key: name, fields: { ...common, ...vxlan, lower: table.nameOf(vxlan.lower) } };
}

function translateLink(operation: OperationOn<"link">, table: LinkTable): Translation<LinkRecord> {
  const { verb, object, before } = operation;
  if (verb === "delete") return [removal(object)];
  const { lower = null } = object.fields;
  if (lower !== null && table.indexOf(lower) === null) {
    return { impossible: `there is no device "${lower}" to stand on; check --iface` };
  }
  if (verb === "modify" && before) return [{ verb: "change", record: changedRecord(object, before, table) }];
  // Whoever carries its packets has made it; all that is left is what every device has.
  if (object.fields.type === "tun") return [{ verb: "change", record: wholeRecord(object, table) }];
  if (object.fields.type !== "vxlan") {
    return { impossible: `a device of type "${object.fields.type}" can't be made here` };
  }
  const create: Change<LinkRecord> = { verb: "create", record: wholeRecord(object, table) };
  return verb === "recreate" ? [removal(object), create] : [create];
}

function removal(link: ObjectOf<"link">): Change<LinkRecord> {
  return { verb: "delete", record: { ...commonPart(link.fields), name: link.key, vxlan: null } };
}

function wholeRecord(link: ObjectOf<"link">, table: LinkTable): LinkRecord {
  const vxlan = link.fields.type === "vxlan" ? vxlanPart(link.fields, table) : null;
  return { ...commonPart(link.fields), name: link.key, vxlan };
}

/** Only what differs: a MAC or MTU written again is an event for everybody who watches the device. */
function changedRecord(
  desired: ObjectOf<"link">,
  before: ObjectOf<"link">,
  table: LinkTable,
): LinkRecord {
  const fields = { ...before.fields, ...desired.fields };
  const common = commonPart(fields);
  const vxlan = before.fields.type === "vxlan" && changeable.some((f) => differs(desired, before, f));
  return {
    ...common,
    name: desired.key,
    mac: differs(desired, before, "mac") ? common.mac : null,
    mtu: differs(desired, before, "mtu") ? common.mtu : 0,
    vxlan: vxlan ? vxlanPart(fields, table) : null,
  };
}

function commonPart({ type, alias, mac = null, mtu, up }: LinkFields): Omit<LinkRecord, "name" | "vxlan"> {
  return { index: 0, type, alias, mac, mtu, up };
}

/** Of VXLAN devices that name none (drivers/net/vxlan). */
const PORT = 8472;

/** Settings that an object leaves out are the kernel's defaults (drivers/net/vxlan). */
function vxlanPart(fields: LinkFields, table: LinkTable): VxlanRecord {
  const { lower = null } = fields;
  return {
    vni: fields.vni ?? 0,
    lower: lower === null ? 0 : table.indexOf(lower) ?? 0,
    local: fields.local ?? null,
    group: fields.group ?? null,
    port: fields.port ?? PORT,
    ttl: fields.ttl ?? 0,
    tos: fields.tos ?? 0,
    ageing: fields.ageing ?? 300,
    learning: fields.learning === true,
    proxy: fields.proxy === true,
    rsc: fields.rsc === true,
    l2miss: fields.l2miss === true,
    l3miss: fields.l3miss === true,
    gbp: fields.gbp === true,
    udpCsum: fields.udpCsum !== false,
    udp6ZeroCsumTx: fields.udp6ZeroCsumTx === true,
    udp6ZeroCsumRx: fields.udp6ZeroCsumRx === true,
  };
}

function printLink({ key, fields }: ObjectOf<"link">): string {
  const words: (string | false)[] = [key];
  const say = (word: string, value: FieldValue | undefined) =>
    value !== undefined && value !== null && value !== "" && words.push(`${word} ${value}`);
  say("type", fields.type);
  say("id", fields.vni);
  say("local", fields.local);
  say("dev", fields.lower);
  say("dstport", fields.port);
  if (fields.learning !== undefined) words.push(fields.learning ? "learning" : "nolearning");
  if (fields.gbp === true) words.push("gbp");
  say("mtu", fields.mtu);
  say("address", fields.mac);
  say("alias", fields.alias);
  words.push(fields.up ? "up" : "down");
  return words.join(" ");
}

function differs(desired: ObjectOf<"link">, observed: ObjectOf<"link">, field: keyof LinkFields): boolean {
  const wanted = desired.fields[field];
  return wanted !== undefined && !sameValue(wanted, observed.fields[field]);
}

function isV6(value: FieldValue | undefined): boolean {
  return typeof value === "string" && value.includes(":");
}
