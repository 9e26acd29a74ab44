/** What goes wrong with kernels and underlays, and what administrators and other programs do to them. */
import { formatIp, parseIp } from "../../../src/model/ip.ts";
import { type FieldsByKind, kinds, type Obj, type ObjectOf } from "../../../src/model/objects.ts";
import type { Made } from "../kernel/fake_table.ts";
import type { Fault } from "./faults.ts";
import type { SimHost } from "./host.ts";
import { deviceOf } from "./oracle.ts";
import type { World } from "./world.ts";

export const kernelFaults: Readonly<Record<string, Fault>> = {
  "the next operations fail": (world) => {
    const host = world.pick(world.hosts);
    const left = 1 + world.random.int(6);
    host.faults.refusals.push({ why: "no buffer space (ENOBUFS)", left, matches: () => true });
    return `${left} operations on ${host.name}`;
  },
  "operations of one kind fail": (world) => {
    const host = world.pick(world.hosts);
    const kind = world.pick(kinds);
    const left = 1 + world.random.int(10);
    host.faults.refusals.push({
      why: "no memory (ENOMEM)",
      left,
      matches: ({ object }) => object.kind === kind,
    });
    return `${left} of ${kind} on ${host.name}`;
  },
  "a batch dies half done": (world) => {
    const host = world.pick(world.hosts);
    let whole = world.random.int(8);
    host.faults.refusals.push({ why: "the socket is gone", left: 20, matches: () => whole-- <= 0 });
    return `after ${whole} operations on ${host.name}`;
  },
  "the kernel is slow": (world) => {
    const host = world.pick(world.hosts);
    host.faults.slowMs = world.pick([0, 5, 200, 3_000]);
    return `up to ${host.faults.slowMs} ms on ${host.name}`;
  },
  "readings fail": (world) => {
    const host = world.pick(world.hosts);
    host.faults.unreadable += 1 + world.random.int(4);
    return `${host.faults.unreadable} on ${host.name}`;
  },
  "kernel events get lost": (world) => {
    const host = world.pick(world.hosts);
    host.faults.lostEvents += 1 + world.random.int(4);
    return `${host.faults.lostEvents} on ${host.name}`;
  },
  "kernel events overflow": (world) => {
    const host = world.pick(world.hosts);
    host.kernel.emit(new Set(["lost"]));
    return host.name;
  },
  "kernel events come late": (world) => {
    const host = world.pick(world.hosts);
    host.faults.eventDelayMs = world.pick([0, 100, 4_000]);
    return `up to ${host.faults.eventDelayMs} ms on ${host.name}`;
  },
  "something is deleted": (world) => remove(world, 1),
  "much is deleted": (world) => remove(world, 3 + world.random.int(20)),
  "a kind is flushed": (world) => {
    const host = world.pick(world.hosts);
    const kind = world.pick(["route", "neighbour", "fdb", "address"] as const);
    for (const { key } of ofDenim(host).filter((o) => o.kind === kind)) host.kernel.remove(kind, key);
    return `${kind} on ${host.name}`;
  },
  "the firewall is wiped": (world) => {
    const host = world.pick(world.hosts);
    for (const kind of ["jump", "chain"] as const) {
      for (const { key } of ofDenim(host).filter((o) => o.kind === kind)) host.kernel.remove(kind, key);
    }
    return host.name;
  },
  "something is changed": (world) => {
    const host = world.pick(world.hosts);
    // Of a setting nobody is told.
    const told = ({ kind }: Obj) => kind !== "sysctl" || world.fullReads;
    const candidates = ofDenim(host).filter((o) => changed(o) !== null && told(o));
    if (candidates.length === 0) return null;
    const victim = world.pick(candidates);
    host.kernel.put(changed(victim)!);
    return `${victim.kind} ${victim.key} on ${host.name}`;
  },
  "a device is deleted": (world) => onDevice(world, (host, device) => host.kernel.remove("link", device.key)),
  "a device goes down": (world) =>
    onDevice(world, (host, device) => {
      host.kernel.put({ ...device, fields: { ...device.fields, up: false } });
    }),
  "a MAC is rewritten": (world) => onDevice(world, (host, device) => host.rewriteMac(device.key)),
  "udev rewrites the next MAC": (world) => {
    const host = world.pick(world.hosts);
    host.faults.rewrites = 1;
    return host.name;
  },
  "marks are gone, as upstream leaves things": (world) => {
    if (!world.gives("no marks", "other names")) return null;
    const host = world.pick(world.hosts);
    for (const object of ofDenim(host)) {
      const plain = unmarked(object);
      if (plain !== null) host.kernel.put(plain);
    }
    return host.name;
  },
  "an administrator's route takes a peer's place": (world) => {
    const host = world.pick(world.hosts);
    const routes = ofDenim(host).filter((o) => o.kind === "route" && o.key.includes("."));
    if (routes.length === 0) return null;
    const { key } = world.pick(routes);
    host.kernel.remove("route", key);
    foreign(host, {
      kind: "route",
      key,
      on: "eth0",
      fields: { ...plainRoute, destination: key, gateway: "192.168.64.254", device: "eth0", protocol: 4 },
    });
    return `${key} on ${host.name}`;
  },
  "another daemon sets up beside ours": (world) => {
    const host = world.pick(world.hosts);
    if (host.foreign.has("link flannel.9")) return null;
    for (const object of neighbours) foreign(host, object);
    return host.name;
  },
  "somebody's things stand inside our network": (world) => {
    const host = world.pick(world.hosts);
    const object = world.pick(bystanders);
    if (host.kernel.get(object.kind, object.key)) return null;
    foreign(host, object);
    return `${object.kind} ${object.key} on ${host.name}`;
  },
  "somebody's things stand on our device": (world) =>
    onDevice(world, (host, device) => {
      const object = world.pick(onTop)(device.key);
      // The kernel takes no route by way of a device that is down.
      if (host.kernel.get(object.kind, object.key) || !device.fields.up) return;
      host.kernel.put(object);
      host.strays.add(`${object.kind} ${object.key}`);
    }),
  "somebody's device has our name": (world) => {
    if (!world.gives("no marks", "other names")) return null;
    const host = world.pick(world.hosts);
    const { key } = host.kernel.get("link", deviceOf(world, 4)) ?? {};
    if (key === undefined || world.network.type !== "vxlan") return null;
    host.kernel.remove("link", key);
    foreign(host, { kind: "link", key, fields: { ...world.pick(namesakes), mtu: 1500, up: true } });
    return `${key} on ${host.name}`;
  },
  "what is foreign is taken away": (world) => {
    const host = world.pick(world.hosts);
    if (host.foreign.size === 0) return null;
    forget(host);
    return host.name;
  },
  "the underlay's MTU changes": (world) => {
    const host = world.pick(world.hosts);
    host.underlay.mtu = world.pick([1400, 1450, 1500, 9000]);
    host.kernel.emit(new Set(["link"]));
    return `${host.underlay.mtu} on ${host.name}`;
  },
  "the underlay's addresses change": (world) => {
    const host = world.pick(world.hosts);
    const n = 100 + host.number * 10 + world.random.int(3);
    host.renumber(parseIp(`192.168.64.${n}`)!, parseIp(`fd00:64::${n}`)!);
    return `192.168.64.${n} on ${host.name}`;
  },
  "the underlay has no address": (world) => {
    const host = world.pick(world.hosts);
    host.underlay.addressed = !host.underlay.addressed;
    host.kernel.emit(new Set(["address"]));
    return `${host.underlay.addressed} on ${host.name}`;
  },
  "a peer is behind a router": (world) => {
    const host = world.pick(world.hosts);
    const peer = world.pick(world.hosts);
    if (host === peer) return null;
    for (const ip of [peer.underlay.v4, peer.underlay.v6]) host.underlay.distant.add(formatIp(ip));
    host.kernel.emit(new Set(["route"]));
    return `${peer.name} as seen from ${host.name}`;
  },
};

/** Takes away everything foreign, or only what has the name of a device of ours. */
export function forget(host: SimHost, which: "all" | "namesakes" = "all"): void {
  for (const { kind, key } of [...host.foreign.values()].reverse()) {
    if (which === "namesakes" && !(kind === "link" && key !== "flannel.9")) continue;
    host.foreign.delete(`${kind} ${key}`);
    host.kernel.remove(kind, key);
  }
}

function foreign(host: SimHost, object: Made): void {
  host.kernel.put(object, "foreign");
  host.foreign.set(`${object.kind} ${object.key}`, host.kernel.get(object.kind, object.key)!);
}

/** What denim has put up on a host. */
function ofDenim(host: SimHost): Obj[] {
  return host.kernel.objects().filter((o) => {
    const id = `${o.kind} ${o.key}`;
    return o.key !== "eth0" && !host.foreign.has(id) && !host.strays.has(id);
  });
}

/** What nobody deletes from outside: it can't be done, or not to one alone. */
const inside: ReadonlySet<string> = new Set(["chain", "sysctl", "tunnel", "peer"]);

function remove(world: World, count: number): string | null {
  const host = world.pick(world.hosts);
  const candidates = ofDenim(host).filter(({ kind }) => !inside.has(kind));
  if (candidates.length === 0) return null;
  const victims = Array.from({ length: count }, () => world.pick(candidates));
  for (const { kind, key } of victims) host.kernel.remove(kind, key);
  return `${victims.map(({ kind, key }) => `${kind} ${key}`).join(", ")} on ${host.name}`;
}

function onDevice(world: World, action: (host: SimHost, device: ObjectOf<"link">) => void): string | null {
  const host = world.pick(world.hosts);
  const device = host.kernel.get("link", deviceOf(world, world.pick(world.network.families)));
  if (!device || host.foreign.has(`link ${device.key}`)) return null;
  action(host, device);
  return `${device.key} on ${host.name}`;
}

/** As somebody else would change it; null for what nobody changes in place. */
function changed(object: Obj): Obj | null {
  switch (object.kind) {
    case "link":
      return { ...object, fields: { ...object.fields, mtu: 1280 } };
    case "neighbour":
      return { ...object, fields: { ...object.fields, mac: "02:00:00:00:00:fe" } };
    case "fdb":
      return { ...object, fields: { ...object.fields, destination: "192.168.64.253" } };
    case "sysctl":
      return { ...object, fields: { value: "1" } };
    case "chain":
      return { ...object, fields: { rules: ["-j DROP"] } };
    default:
      return null;
  }
}

/**
 * As upstream would have written it; null where nothing marks the kind. Plain routes through eth0 could be an
 * administrator's then and are nobody's to change, so they keep theirs; so do those into a tunnel, which upstream can't leave
 * behind.
 */
function unmarked(object: Obj): Obj | null {
  const { kind, on, fields } = object;
  if (kind === "link") return { ...object, fields: { ...fields, alias: "" } };
  if (kind === "neighbour") return { ...object, fields: { ...fields, protocol: 0 } };
  if (kind !== "route" || on === "eth0" || fields.gateway === null) return null;
  return { ...object, fields: { ...fields, protocol: 3 } };
}

const plainRoute = { type: "unicast", onlink: false } as const;

/** An administrator's routes inside our network, through the underlay or to nowhere. */
const bystanders: readonly Made[] = ([
  ["10.1.250.0/24", { gateway: "192.168.64.254", protocol: 4 }],
  // As flannel's host-gw writes it, which an administrator may do as well.
  ["10.1.251.0/24", { gateway: "192.168.64.254", protocol: 3 }],
  ["10.1.252.0/25", { gateway: "192.168.64.254", protocol: 3, metric: 50 }],
  ["fd00:10:0:fa::/64", { gateway: "fd00:64::fe", protocol: 4 }],
  ["fd00:10:0:fb::/64", { gateway: "fd00:64::fe", protocol: 3 }],
] as const).map(([destination, fields]) => ({
  kind: "route",
  key: destination,
  on: "eth0",
  fields: { ...plainRoute, device: "eth0", destination, ...fields },
}));

/** What only its owner knows the reason of. */
const onTop: readonly ((device: string) => Made)[] = [
  (device) => ({
    kind: "address",
    key: `${device} 172.16.9.1`,
    on: device,
    fields: { device, address: "172.16.9.1", length: 32 },
  }),
  ...["10.1.253.7", "172.16.9.9"].flatMap((address) =>
    ([{ state: "permanent", protocol: 4 }, { state: "dynamic", protocol: 2 }] as const).map(
      (fields) => (device: string): Made => ({
        kind: "neighbour",
        key: `${device} ${address}`,
        on: device,
        fields: { device, address, mac: "02:00:00:00:0f:09", ...fields },
      }),
    )
  ),
  ...([
    ["00:00:00:00:00:00", "permanent", "192.168.64.253"],
    ["33:33:00:00:00:01", "permanent", "192.168.64.253"],
    ["02:00:00:00:0f:0a", "permanent", null],
    ["02:00:00:00:0f:0b", "dynamic", "192.168.64.253"],
  ] as const).map(([mac, state, destination]) => (device: string): Made => ({
    kind: "fdb",
    key: `${device} ${mac}`,
    on: device,
    fields: { device, mac, state, destination },
  })),
  (device) => ({
    kind: "route",
    key: "10.1.254.0/24",
    on: device,
    fields: {
      ...plainRoute,
      destination: "10.1.254.0/24",
      gateway: "10.1.254.1",
      device,
      onlink: true,
      protocol: 3,
    },
  }),
];

/** Devices that our name does not make ours. */
const namesakes: readonly Partial<FieldsByKind["link"]>[] = [
  { type: "dummy" },
  { type: "vxlan", vni: 99 },
  { type: "vxlan", vni: 1, alias: "somebody's" },
];

/** A second daemon's objects in a network of its own. */
const neighbours: readonly Made[] = [
  {
    kind: "link",
    key: "flannel.9",
    fields: { type: "vxlan", alias: "denim:other", vni: 9, up: true, mtu: 1450 },
  },
  {
    kind: "route",
    key: "10.9.7.0/24",
    on: "flannel.9",
    fields: {
      ...plainRoute,
      destination: "10.9.7.0/24",
      gateway: "10.9.7.0",
      device: "flannel.9",
      onlink: true,
      protocol: 85,
    },
  },
  {
    kind: "neighbour",
    key: "flannel.9 10.9.7.0",
    on: "flannel.9",
    fields: { device: "flannel.9", address: "10.9.7.0", mac: "02:00:00:00:09:07", protocol: 85 },
  },
  { kind: "chain", key: "iptables nat FLANNEL-POSTRTG-OTHER", fields: { rules: ["-j RETURN"] } },
];
