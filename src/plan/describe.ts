/** Operations and obstacles in words, for the log, the preview and the health endpoint. Pure. */
import { families, formatIp } from "../model/ip.ts";
import { describeSubnets, type Lease, publicIpOf } from "../model/lease.ts";
import { daemonOf } from "../model/objects.ts";
import type { Blocked, KindRules, Observed, Operation, Verb } from "../model/plan.ts";
import { ownerOfDevice } from "../model/device_owner.ts";
import type { LogFields } from "../observe/log.ts";
import { differences } from "./diff.ts";

type Rules = ReadonlyMap<string, KindRules>;

/** What an operation has done, as a participle. */
const done: Readonly<Record<Verb, string>> = {
  create: "added",
  modify: "changed",
  recreate: "recreated",
  delete: "deleted",
};

/** `added route: 10.1.16.0/24 via …`. */
export function describeDone(operation: Operation, rules: Rules): string {
  return `${done[operation.verb]} ${operation.object.kind}: ${describeObject(operation, rules)}`;
}

/** For something of ours that somebody else had removed or changed. */
export function describeRepair(operation: Operation, rules: Rules): string {
  const damage = operation.before ? "was changed" : "was gone";
  return `repaired ${operation.object.kind}, which ${damage}: ${describeObject(operation, rules)}`;
}

/** The same of several objects that serve one peer: `repaired neighbour, fdb and route of peer …, which were gone`. */
export function describeRepairs(operations: readonly Operation[], peer: string): string {
  const kinds = operations.map(({ object }) => object.kind);
  const listed = `${kinds.slice(0, -1).join(", ")} and ${kinds.at(-1)}`;
  const gone = operations.filter(({ before }) => before === undefined).length;
  const damage = gone === 0 ? "changed" : gone === operations.length ? "gone" : "gone or changed";
  return `repaired ${listed} of ${peer}, which were ${damage}`;
}

/** `peer 10.1.15.0/24 (192.168.64.3)`: its subnets and its hosts' public addresses. */
export function describePeer({ subnets, record }: Lease): string {
  const addresses = families.flatMap((family) => publicIpOf(record, family) ?? []).map(formatIp);
  return `peer ${describeSubnets(subnets)}${addresses.length > 0 ? ` (${addresses.join(", ")})` : ""}`;
}

/** A peer for programs: `subnet`, `publicIp`, `publicIpv6`, `backend`. */
export function peerFields({ subnets, record }: Lease): LogFields {
  return {
    subnet: describeSubnets(subnets),
    publicIp: record.publicIp ? formatIp(record.publicIp) : undefined,
    publicIpv6: record.publicIpv6 ? formatIp(record.publicIpv6) : undefined,
    backend: record.backendType,
  };
}

/** An operation for programs. */
export function operationFields({ verb, object }: Operation): LogFields {
  const device = "device" in object.fields ? object.fields.device ?? undefined : undefined;
  return { verb, object: object.kind, key: object.key, device };
}

/** The object as the tool that shows it prints it; behind a change of one, what differed. */
export function describeObject({ verb, object, before }: Operation, rules: Rules): string {
  const text = rules.get(object.kind)?.print(object) ?? object.key;
  if (!before || verb === "delete") return text;
  const changes = differences(object, before).map(({ field, is, want }) =>
    `${field} ${JSON.stringify(is)} -> ${JSON.stringify(want)}`
  );
  return `${text} (${changes.join(", ")})`;
}

/** False for what only stands on a device that is blocked: that device is the one to speak of. */
export function isDirect({ object, by }: Blocked): boolean {
  return object.kind === by.kind;
}

/** What is in the way of what, and what to do. */
export function describeBlocked({ object, by }: Blocked): string {
  const behind = object.kind === by.kind ? "" : ` (behind ${by.kind} "${by.key}")`;
  const what = describeStranger(by);
  return `${object.kind} "${object.key}"${behind}: one that is not ours is in the way` +
    `${what === "" ? "" : ` (${what})`}; ${wayOut(by)}`;
}

/** What can be said of something that is not ours. */
function describeStranger({ kind, key, fields }: Observed): string {
  if (kind === "link") {
    const device = fields.type === "vxlan"
      ? `VXLAN device, VNI ${fields.vni}`
      : `device of type "${fields.type}"`;
    return [device, ownerOfDevice({ name: key, alias: fields.alias })].filter(Boolean).join(", ");
  }
  if (kind !== "route") return "";
  const protocol = protocols[fields.protocol] ?? fields.protocol;
  const words = [["via", fields.gateway], ["dev", fields.device], ["proto", protocol]] as const;
  return words.flatMap(([word, value]) => value === null ? [] : `${word} ${value}`)
    .join(" ");
}

function wayOut({ kind, fields }: Observed): string {
  if (kind === "route" && fields.protocol === KERNEL) {
    return `"${fields.device}" has an address there: take that away, or choose another Network`;
  }
  if (kind !== "link") return "remove it, and it is put up at once";
  const daemon = daemonOf(fields.alias);
  const other = "choose another VNI in the network's Backend";
  return daemon === null
    ? `${other}, or remove it if nobody needs it`
    : `${other}; or, to go on in its place, stop it for good and start this one with -instance=${daemon}`;
}

/** RTPROT_KERNEL: the connected route of an address. */
const KERNEL = 2;
/** RTPROT_* by number (linux/rtnetlink.h), as `ip route` shows them. */
const protocols: Readonly<Record<number, string>> = {
  2: "kernel",
  3: "boot",
  4: "static",
  11: "zebra",
  12: "bird",
  16: "dhcp",
  85: "85",
  186: "bgp",
};
