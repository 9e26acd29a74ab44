/**
 * What must hold in a simulated cluster. `always` after every step, whatever goes wrong meanwhile; `complaints` when nothing
 * goes wrong any more: what still differs from the end that every host has to come to.
 */
import { type Lease, subnetOf } from "../../../src/model/lease.ts";
import { formatLeaseKey } from "../../../src/model/lease_codec.ts";
import { conflicting } from "../../../src/model/allocate.ts";
import { formatIp } from "../../../src/model/ip.ts";
import type { Owner } from "../../../src/model/owner.ts";
import type { Scope } from "../../../src/model/plan.ts";
import { isFirewall, type Kind, type Obj, valueOf } from "../../../src/model/objects.ts";
import type { Observed } from "../../../src/model/plan.ts";
import type { SimHost } from "./host.ts";
import { desiredOf, deviceOf, overheadOf } from "./oracle.ts";
import { isContradicted, parse, type Peer, peersOf, type Subnet, subnetsIn } from "./oracle_peers.ts";
import { isRecord, nameOf, placeOf } from "./records.ts";
import { territoryOf, whose } from "./whose.ts";
import { recordType, type World } from "./world.ts";

export function always(world: World): void {
  world.deaf ||= world.models.some(({ muteWatches, dropEvents }) => muteWatches || dropEvents > 0);
  noSharedSubnet(world);
  noSharedMac(world);
  for (const host of world.hosts) {
    foreignStands(host);
    nothingMissed(host);
  }
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
      const pair = `${a.host.name} and ${b.host.name}`;
      const both = conflicting(a.lease.subnets, b.lease.subnets) && holds(a.host) && holds(b.host);
      if (!both || (world.sameIds && !(hears(a.host) && hears(b.host)))) world.sharing.delete(pair);
      else if (!world.sameIds || isLong(world, pair)) {
        world.violation(`${pair} both use ${keyOf(a.lease)}`);
      }
    }
  }
}

/** Hosts that hold a lease and hear of each other have different MACs, but for a moment. */
function noSharedMac(world: World): void {
  if (world.network.type !== "vxlan") return;
  const hosts = world.hosts.filter((host) => host.overlay !== null && holds(host));
  for (const [i, a] of hosts.entries()) {
    for (const b of hosts.slice(i + 1)) {
      for (const family of world.network.families) {
        const [mac, other] = [a, b].map(({ kernel }) =>
          kernel.get("link", deviceOf(world, family))?.fields.mac
        );
        const pair = `the MACs of ${a.name} and ${b.name}, IPv${family}`;
        if (typeof mac !== "string" || mac !== other || !hears(a) || !hears(b)) world.sharing.delete(pair);
        else if (isLong(world, pair)) world.violation(`${pair}, are one: ${mac}`);
      }
    }
  }
}

/** Milliseconds that two hosts which hear of each other may both take a subnet, or a MAC, for theirs. */
const SHARED_MS = 30_000;

function isLong({ sharing, clock }: World, pair: string): boolean {
  const since = sharing.get(pair) ?? clock.boot();
  sharing.set(pair, since);
  return clock.boot() - since > SHARED_MS;
}

/** Whoever was refused asks again after a minute at most. */
const REFUSED_MS = 90_000;

/** True where nothing keeps the host from learning what is in the store. */
function hears({ overlay, life, faults, world }: SimHost): boolean {
  const outage = overlay!.readiness().notes.some((note) => note.startsWith("the store "));
  const isRefused = world.clock.boot() - faults.refusedAt < REFUSED_MS;
  return !outage && !isRefused && life?.frozen !== true && !faults.partitioned && !world.deaf;
}

/** False for a host that knows it has lost its lease. */
function holds({ overlay }: SimHost): boolean {
  return !overlay!.readiness().reasons.some((reason) => reason.startsWith("our lease was lost"));
}

/** A whole reading finds nothing that was not told. */
function nothingMissed({ overlay, misled, world, name }: SimHost): void {
  const missed = misled ? 0 : overlay?.hostReport().missed ?? 0;
  if (missed > 0) world.violation(`${name}: ${missed} objects stood otherwise than was told`);
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
    !(cutOff && /refuses every peer/.test(reason)) &&
    !(/publishes our address/.test(reason) && hasRival(world, host, key))
  );
  return [
    ...(reasons.length === 0 ? [] : [`not ready: ${reasons.join("; ")}`]),
    ...recordComplaints(world, host, key),
    ...kernelComplaints(world, host, subnetsIn(key)),
    ...fileComplaints(world, host),
  ];
}

/** True where another record has the host's address: it says so for as long as that stands. */
function hasRival(world: World, { underlay }: SimHost, key: string): boolean {
  const texts = [formatIp(underlay.v4), formatIp(underlay.v6)].map((ip) => `"${ip}"`);
  return world.models.some((model) =>
    [...model.keys.values()].some((kv) =>
      isRecord(kv.key) && nameOf(kv.key) !== key && texts.some((text) => kv.value.includes(text))
    )
  );
}

/** In every API: its own record, or the mirror of it. */
function recordComplaints(world: World, host: SimHost, key: string): string[] {
  const complaints = world.models.map((model) => {
    const kv = model.keys.get(placeOf(key));
    return kv === undefined
      ? [`its key ${key} is not in the store`]
      : contentComplaints(world, host, parse(kv));
  });
  const kvs = world.models.flatMap((model) => model.keys.get(placeOf(key)) ?? []);
  // What another host left in the API that this one does not write to stands until it runs out.
  const isRightInOne = complaints.some((each) => each.length === 0);
  return isRightInOne && kvs.some((kv) => isContradicted(world, kv)) ? [] : complaints.flat();
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
      Object.entries(fields).filter(([name, value]) => !same(valueOf(object.fields, name), value));
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
