/**
 * The objects of the fake kernel and the consequences of changing them, as on Linux: error texts, what goes with a device,
 * what a device loses when it goes down (routes, nexthops, neighbours, IPv6 addresses; FDB and IPv4 addresses stay) or when
 * its MAC changes (neighbours), that the routes by way of a nexthop object go with it, and that a tunnel makes its device and goes with its process.
 * Fields that a maker leaves out get the kernel's defaults, so that a read-back is whole.
 */
import type { FieldsByKind, Kind, Obj, ObjectOf } from "../../../src/model/objects.ts";
import { parsePrefix } from "../../../src/model/prefix.ts";
import { defaultMetric } from "../../../src/kernel/ownership.ts";

/** As somebody makes it: what is left out is the kernel's to choose. */
export type Made = {
  [K in Kind]: Omit<ObjectOf<K>, "fields"> & { readonly fields: Partial<FieldsByKind[K]> };
}[Kind];
/** The object of a kind, or of one of several. */
export type Of<K extends Kind> = Extract<Obj, { readonly kind: K }>;

const defaults: { readonly [K in Kind]?: Partial<FieldsByKind[K]> } = {
  link: { type: "", alias: "", mac: null, mtu: 1500, up: false, lower: null, local: null },
  neighbour: { protocol: 0, state: "permanent" },
  route: {
    gateway: null,
    device: null,
    onlink: false,
    protocol: 3,
    scope: 0,
    source: null,
    tos: 0,
    paths: 0,
    nexthop: null,
  },
};

/** Somebody made, changed or removed one object; what follows from it is not told. */
export type Tell = (was: Obj | undefined, now: Obj | undefined) => void;

export class FakeTable {
  /** Told of each change that somebody makes. */
  tell: Tell = () => {};
  readonly #objects = new Map<string, Obj>();
  /** Ids by the device they stand on. */
  readonly #on = new Map<string, Set<string>>();

  all(): Iterable<Obj> {
    return this.#objects.values();
  }

  get<K extends Kind>(kind: K, key: string): Of<K> | undefined {
    return this.#objects.get(`${kind} ${key}`) as Of<K> | undefined;
  }

  /** Null, or why not. */
  create(object: Made): string | null {
    // Whoever carries its packets has made it.
    if (object.kind === "link" && object.fields.type === "tun") return this.modify(object);
    if (this.get(object.kind, object.key)) return "File exists";
    const missing = this.#missing(object);
    if (missing !== null) return missing;
    if (object.kind === "tunnel") {
      if (this.get("link", object.key)) return "Device or resource busy";
      this.#set(tunDevice(object.key));
    }
    const made = whole(object, { ...defaults[object.kind], ...metric(object) });
    this.#set(made);
    this.tell(undefined, made);
    return null;
  }

  /** Null, or why not. What is absent is made, except a link. */
  modify(object: Made): string | null {
    const before = this.get(object.kind, object.key);
    if (!before) return object.kind === "link" ? "No such device" : this.create(object);
    const missing = this.#missing(object);
    if (missing !== null) return missing;
    if (object.kind === "tunnel" && before.kind === "tunnel" && madeAnew(before.fields, object.fields)) {
      this.remove("tunnel", object.key);
      return this.create(object);
    }
    this.#forget(before);
    const after = whole(object, before.fields);
    this.#set(after);
    this.tell(before, after);
    if (after.kind === "link" && before.kind === "link") this.#linkChanged(before, after);
    return null;
  }

  /** As an administrator would: what stands there is changed, whatever it takes. */
  replace(object: Made): void {
    const device = object.kind === "link" && object.fields.type === "tun";
    if (device && !this.get("link", object.key)) this.#set(tunDevice(object.key));
    const refused = this.modify(object) === null ? null : this.create(object);
    if (refused !== null) throw new Error(`put ${object.kind} ${object.key}: ${refused}`);
  }

  /** Null, also where there was nothing; or why not. */
  remove(kind: Kind, key: string): string | null {
    const object = this.get(kind, key);
    if (!object) return null;
    if (kind === "chain" && this.#ledTo(key)) return "Device or resource busy";
    this.#forget(object);
    this.tell(object, undefined);
    if (kind === "link") this.#linkGone(key);
    if (kind === "tunnel") this.remove("link", key);
    if (object.kind === "nexthop") this.#nexthopGone(object);
    return null;
  }

  /** What is kept are descriptors: of them a tunnel's port, addresses and queues can be told, its peers can't. */
  endTunnels(kept: boolean): void {
    for (const object of [...this.all()]) {
      if (object.kind === "peer" || object.kind === "tunnel" && !kept) this.remove(object.kind, object.key);
      else if (object.kind === "tunnel") this.#set({ ...object, fields: keptFields(object.fields) });
    }
  }

  #set(object: Obj): void {
    const id = `${object.kind} ${object.key}`;
    this.#objects.set(id, object);
    if (object.on === undefined) return;
    const there = this.#on.get(object.on) ?? new Set();
    this.#on.set(object.on, there.add(id));
  }

  #forget(object: Obj): void {
    const id = `${object.kind} ${object.key}`;
    this.#objects.delete(id);
    if (object.on !== undefined) this.#on.get(object.on)?.delete(id);
  }

  /** What an object needs and does not find. */
  #missing({ kind, key, on, fields }: Made): string | null {
    if (kind === "link" && typeof fields.lower === "string" && !this.get("link", fields.lower)) {
      return `there is no device "${fields.lower}" to stand on; check --iface`;
    }
    if (kind === "route" && typeof fields.nexthop === "number" && !this.get("nexthop", `${fields.nexthop}`)) {
      return "Nexthop id does not exist";
    }
    if (kind === "jump" && !this.get("chain", chainOf(key))) return "No chain/target/match by that name";
    if (on === undefined) return null;
    const device = this.get("link", on);
    if (!device) return kind === "sysctl" ? "no such file or directory" : `there is no device "${on}"`;
    return (kind === "route" || kind === "nexthop") && device.fields.up !== true ? "Network is down" : null;
  }

  #standingOn(device: string): Obj[] {
    return [...this.#on.get(device) ?? []].map((id) => this.#objects.get(id)!);
  }

  #linkChanged(before: ObjectOf<"link">, after: ObjectOf<"link">): void {
    const wentDown = before.fields.up === true && after.fields.up !== true;
    const newMac = before.fields.mac !== after.fields.mac;
    for (const object of this.#standingOn(after.key)) {
      const v6 = object.kind === "address" && object.fields.address.includes(":");
      const lost = object.kind === "neighbour"
        ? wentDown || newMac
        : wentDown && (object.kind === "route" || object.kind === "nexthop" || v6);
      if (lost) this.#forget(object);
    }
  }

  #linkGone(name: string): void {
    for (const object of this.#standingOn(name)) this.#forget(object);
    const tunnel = this.get("tunnel", name);
    if (tunnel) this.#forget(tunnel);
    const upper = [...this.all()].filter((o) => o.kind === "link" && o.fields.lower === name);
    for (const link of upper) this.remove("link", link.key);
  }

  #nexthopGone({ on, fields }: ObjectOf<"nexthop">): void {
    for (const object of this.#standingOn(on!)) {
      if (object.kind === "route" && object.fields.nexthop === fields.id) this.#forget(object);
    }
  }

  #ledTo(chain: string): boolean {
    for (const object of this.all()) if (object.kind === "jump" && chainOf(object.key) === chain) return true;
    return false;
  }
}

/** `iptables nat POSTROUTING FLANNEL-POSTRTG` leads to the chain `iptables nat FLANNEL-POSTRTG`. */
function chainOf(jump: string): string {
  const [tool, table, , to] = jump.split(" ");
  return `${tool} ${table} ${to}`;
}

/** With all that is left out taken from `under`: what the kernel chooses, or what stood before. */
function whole({ kind, key, on, fields }: Made, under: object): Obj {
  const all = { ...under, ...fields };
  return (on === undefined ? { kind, key, fields: all } : { kind, key, on, fields: all }) as Obj;
}

function metric({ kind, fields }: Made): Partial<FieldsByKind["route"]> {
  const destination = kind === "route" ? parsePrefix(fields.destination!) : null;
  return destination ? { metric: defaultMetric(destination.ip.family) } : {};
}

type Tunnel = FieldsByKind["tunnel"];

function keptFields({ port, underlay, queues }: Tunnel): Tunnel {
  return { port, underlay, queues };
}

/** True where the device does not outlive the change: another number of queues, or what was kept does not fit. */
function madeAnew(before: Tunnel, made: Partial<Tunnel>): boolean {
  const after = { ...before, ...made };
  const kept = before.sender === undefined;
  const [was, is] = [keptFields(before), keptFields(after)].map((fields) => JSON.stringify(fields));
  return before.queues !== after.queues || (kept && was !== is);
}

function tunDevice(name: string): Obj {
  return whole({ kind: "link", key: name, fields: { type: "tun" } }, { ...defaults.link });
}
