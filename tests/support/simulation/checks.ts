/**
 * What must hold in a simulated cluster. `always` after every step, whatever goes wrong meanwhile; `complaints` when nothing
 * goes wrong any more: what still differs from the end that every host has to come to.
 */
import { type Lease, subnetOf } from "../../../src/model/lease.ts";
import { formatLeaseKey } from "../../../src/model/lease_codec.ts";
import { conflicting } from "../../../src/model/allocate.ts";
import { formatIp } from "../../../src/model/ip.ts";
import type { Owner, Scope } from "../../../src/kernel/kernel.ts";
import { isFirewall, type Kind, type Obj } from "../../../src/model/objects.ts";
import type { Observed } from "../../../src/model/plan.ts";
import type { SimHost } from "./host.ts";
import { desiredOf, deviceOf, overheadOf } from "./oracle.ts";
import { parse, type Peer, peersOf, type Subnet, subnetsIn } from "./oracle_peers.ts";
import { placeOf } from "./records.ts";
import { territoryOf, whose } from "./whose.ts";
import { recordType, type World } from "./world.ts";

export function always(world: World): void {
  noSharedSubnet(world);
  for (const host of world.hosts) foreignStands(host);
}

/** What is not as it must be in the end, one sentence each. */
export function complaints(world: World): string[] {
  for (const model of world.models) model.sweep();
  const hosts = world.hosts.filter((host) => host.running || host.pausing);
  const all = hosts.flatMap((host) => hostComplaints(world, host).map((text) => `${host.name}: ${text}`));
  const keys = hosts.flatMap((host) => host.overlay ? keyOf(host.overlay.lease) : []);
  return new Set(keys).size === keys.length ? all : [...all, `two hosts have one subnet: ${keys.join(" ")}`];
}

/** Hosts that hold a lease and believe it valid share nothing, unless somebody had a hand in the store. */
function noSharedSubnet(world: World): void {
  const holders = world.hosts.flatMap((host) => {
    const lease = host.overlay?.lease ?? null;
    const valid = lease !== null && (lease.expires === null || world.clock.boot() < lease.expires);
    return valid && !world.tampered.has(keyOf(lease)) ? [{ host, lease }] : [];
  });
  for (const [i, a] of holders.entries()) {
    for (const b of holders.slice(i + 1)) {
      if (!conflicting(a.lease.subnets, b.lease.subnets) || !holds(a.host) || !holds(b.host)) continue;
      world.violation(`${a.host.name} and ${b.host.name} both use ${keyOf(a.lease)}`);
    }
  }
}

/** False for a host that knows it has lost its lease. */
function holds({ overlay }: SimHost): boolean {
  return !overlay!.readiness().reasons.some((reason) => reason.startsWith("our lease was lost"));
}

function foreignStands({ world, foreign, kernel, name }: SimHost): void {
  for (const [id, object] of foreign) {
    const standing = kernel.get(object.kind, object.key);
    if (JSON.stringify(standing?.fields) === JSON.stringify(object.fields)) continue;
    world.violation(`${name}: ${id} is somebody else's, and is ${standing ? "changed" : "gone"}`);
  }
}

/** At each reading: whose things are, both for what the process is told and for what is left out. */
export function checkStandings(
  { world, kernel, name }: SimHost,
  owner: Owner,
  scope: Scope,
  observed: readonly Observed[],
): void {
  const stranger = world.strangerIn(owner);
  if (stranger !== null) world.violation(`${name} takes ${stranger} for its own`);
  const territory = territoryOf(owner);
  const told = new Map(observed.map((o) => [`${o.kind} ${o.key}`, o.standing]));
  for (const object of kernel.objects()) {
    if (!scope[isFirewall(object.kind) ? "firewall" : "network"]) continue;
    const id = `${object.kind} ${object.key}`;
    const right = isFirewall(object.kind)
      ? kernel.placed(object)
      : whose(object, territory, (device) => kernel.get("link", device));
    const said = told.get(id) ?? null;
    if (said === right) continue;
    world.violation(`${name}: ${id} counts as ${said}, and is ${right}: ${JSON.stringify(object.fields)}`);
  }
}

function hostComplaints(world: World, host: SimHost): string[] {
  const { overlay } = host;
  if (overlay === null) return ["has no overlay"];
  const key = keyOf(overlay.lease);
  const cutOff = peersOf(world, host, subnetsIn(key)).length === 0;
  const reasons = overlay.readiness().reasons.filter((reason) =>
    !cutOff || !/refuses every peer/.test(reason)
  );
  return [
    ...(reasons.length === 0 ? [] : [`not ready: ${reasons.join("; ")}`]),
    ...recordComplaints(world, host, key),
    ...kernelComplaints(world, host, subnetsIn(key)),
    ...fileComplaints(world, host),
  ];
}

/** In every API: its own record, or the mirror of it. */
function recordComplaints(world: World, host: SimHost, key: string): string[] {
  return world.models.flatMap((model) => {
    const kv = model.keys.get(placeOf(key));
    return kv === undefined
      ? [`its key ${key} is not in the store`]
      : contentComplaints(world, host, parse(kv));
  });
}

function contentComplaints(world: World, host: SimHost, record: Peer | null): string[] {
  const wrong = world.network.families.flatMap((family) => {
    const ip = formatIp(family === 4 ? host.underlay.v4 : host.underlay.v6);
    const told = family === 4 ? record?.publicIp : record?.publicIpv6;
    return told === ip ? [] : [`its record says ${told}, its address is ${ip}`];
  });
  const macs = ([[4, record?.mac], [6, record?.macV6]] as const).flatMap(([family, told]) => {
    const device = host.kernel.get("link", deviceOf(world, family));
    return !device || world.network.type === "udp" || device.fields.mac === told
      ? []
      : [`its record says ${told}, ${device.key} has ${device.fields.mac}`];
  });
  return [
    ...(record?.type === recordType(world.network) ? [] : [`its record is of ${record?.type}`]),
    ...wrong,
    ...macs,
  ];
}

function kernelComplaints(world: World, host: SimHost, own: readonly Subnet[]): string[] {
  const { objects, open } = desiredOf(world, host, own);
  const problems: string[] = [];
  for (const [id, fields] of objects) {
    if (host.foreign.has(id) || host.strays.has(id)) continue;
    const object = find(host, id);
    const wrong = object &&
      Object.entries(fields).filter(([name, value]) => !same(object.fields[name], value));
    if (!object) problems.push(`${id} is missing`);
    else if (wrong!.length > 0) {
      problems.push(`${id} is ${JSON.stringify(object.fields)}, wanted ${JSON.stringify(fields)}`);
    }
  }
  for (const object of host.kernel.objects()) {
    const id = `${object.kind} ${object.key}`;
    const expected = objects.has(id) || host.foreign.has(id) || host.strays.has(id) || id === "link eth0" ||
      object.kind === "sysctl";
    if (!expected && !leadsTo(host, object, open)) {
      problems.push(`${id} stands, which nobody wants: ${JSON.stringify(object.fields)}`);
    }
  }
  return problems;
}

/** True where the object belongs to one of `subnets`. */
function leadsTo(host: SimHost, { kind, key, fields }: Obj, subnets: readonly Subnet[]): boolean {
  return subnets.some(({ text, address }) =>
    kind === "route"
      ? key === text
      : kind === "peer"
      ? key.endsWith(` ${text}`)
      : kind === "neighbour"
      ? key.endsWith(` ${address}`)
      : kind === "fdb" &&
        host.kernel.objects().some((o) =>
          o.kind === "neighbour" && o.key.endsWith(` ${address}`) && o.fields.mac === fields.mac
        )
  );
}

function find({ kernel }: SimHost, id: string): Obj | undefined {
  const space = id.indexOf(" ");
  return kernel.get(id.slice(0, space) as Kind, id.slice(space + 1));
}

function fileComplaints(world: World, { file, overlay, underlay }: SimHost): string[] {
  const { families } = world.network;
  const subnets = families.map((family) => {
    const subnet = subnetOf(overlay!.lease.subnets, family);
    const first = subnet && formatIp({ ...subnet.ip, value: subnet.ip.value + 1n });
    return family === 4 ? `FLANNEL_SUBNET=${first}/24` : `FLANNEL_IPV6_SUBNET=${first}/64`;
  });
  const overhead = overheadOf(world, families.includes(6) ? 6 : 4);
  const wanted = [...subnets, `FLANNEL_MTU=${underlay.mtu - overhead}`];
  const lines = (file ?? "").split("\n");
  return wanted.filter((line) => !lines.includes(line)).map((line) =>
    `its subnet file lacks ${line}: ${file}`
  );
}

function keyOf({ subnets }: Lease): string {
  return formatLeaseKey(subnets);
}

function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
