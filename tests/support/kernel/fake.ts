/**
 * A kernel in memory, for tests of everything above it on thousands of schedules.
 *
 * It keeps the rules of the real one that matter to us: making what is there fails, removing what is absent succeeds, what
 * stands on a device goes with it, a VXLAN device goes with its lower device, a device that goes down or gets another MAC
 * loses what the real one loses (`fake_table.ts`). Whose an object is, is decided by the same code as on the real one; firewall
 * objects alone are simply ours unless `put` says otherwise.
 *
 * Faults come in through `refuse`, `unreadable` and `pause`; an administrator's hand through `put` and `remove`.
 */
import type { Family, Ip } from "../../../src/model/ip.ts";
import { isFirewall, type Kind, type Obj, ROUTE_PROTOCOL } from "../../../src/model/objects.ts";
import type { Occupied } from "../../../src/model/occupied.ts";
import { parsePrefix, prefix } from "../../../src/model/prefix.ts";
import type { KindRules, Observed, Operation, Outcome, Standing } from "../../../src/model/plan.ts";
import { FakeRing, type Judge } from "./fake_ring.ts";
import { FakeTable, type Made, type Of } from "./fake_table.ts";
import { iptablesDriver } from "../../../src/kernel/firewall/iptables.ts";
import type { Owner } from "../../../src/model/owner.ts";
import type { Scope } from "../../../src/model/plan.ts";
import type {
  DefaultRoute,
  Interface,
  Kernel,
  KernelChanges,
  KernelEvent,
  RouteAnswer,
  TunnelReport,
} from "../../../src/kernel/kernel.ts";
import { addressRules } from "../../../src/kernel/addresses.ts";
import { fdbRules } from "../../../src/kernel/fdb.ts";
import { linkRules } from "../../../src/kernel/links.ts";
import { neighbourRules } from "../../../src/kernel/neighbours.ts";
import { nexthopRules } from "../../../src/kernel/nexthops.ts";
import { failed, succeeded } from "../../../src/kernel/outcomes.ts";
import {
  addressStanding,
  fdbStanding,
  linkStanding,
  neighbourStanding,
  nexthopStanding,
  routeStanding,
  sysctlStanding,
} from "../../../src/kernel/ownership.ts";
import { routeRules } from "../../../src/kernel/routes.ts";
import { sysctlRules } from "../../../src/kernel/sysctls.ts";
import { onlySources, peerRules, tunnelRules } from "../../../src/kernel/tunnel/fields.ts";

type EventKinds = KernelEvent["kinds"];

/** The underlay as the fake kernel tells of it. All of it can be changed while a test runs. */
export interface FakeUnderlay {
  interfaces: readonly Interface[];
  route: (to: Ip) => RouteAnswer | null;
  defaultRoutes: (family: Family) => readonly DefaultRoute[];
}

export class FakeKernel implements Kernel {
  readonly rules: ReadonlyMap<Kind, KindRules>;
  hasNexthops = true;
  /** How many operations were tried since the start, refused ones included. */
  tried = 0;
  /** What an operation fails with, or null to let it through; `nth` counts from 0. Throwing is the process's death. */
  refuse: (operation: Operation, nth: number) => string | null = () => null;
  /** Why reading fails, or null. */
  unreadable: () => string | null = () => null;
  /** Awaited before each read and each apply: lets a simulation put other things in between. */
  pause: (before: "read" | "apply") => Promise<void> = () => Promise.resolve();
  /** Called with each reading, at the moment that it is of. */
  inspect: (owner: Owner, scope: Scope, observed: readonly Observed[]) => void = () => {};
  readonly #table = new FakeTable();
  readonly #foreign = new Map<string, Standing>();
  readonly #listeners = new Set<Listener>();
  readonly #rings = new Set<FakeRing>();
  /** Of whoever asks this kernel itself. */
  #ring = new FakeRing();

  constructor(readonly underlay: FakeUnderlay) {
    const firewall = iptablesDriver({ run: () => Promise.reject(new Error("no programs here")) }).rules;
    const network = [
      tunnelRules,
      peerRules,
      linkRules,
      sysctlRules,
      addressRules,
      neighbourRules,
      fdbRules,
      nexthopRules,
      routeRules,
    ];
    this.rules = new Map([...network, ...firewall].map((rules): [Kind, KindRules] => [rules.kind, rules]));
    this.#rings.add(this.#ring);
    this.#table.tell = (was, now) => this.#rings.forEach((ring) => ring.add(was, now));
    for (const { name, mtu, up } of underlay.interfaces) {
      this.#table.create({ kind: "link", key: name, fields: { type: "", mtu, up } });
    }
  }

  /** Everything that stands, the administrator's things included. */
  objects(): Obj[] {
    return [...this.#table.all()];
  }

  get<K extends Kind>(kind: K, key: string): Of<K> | undefined {
    return this.#table.get(kind, key);
  }

  /** An administrator makes or changes something; `standing` for a firewall object that is not ours. Tells listeners. */
  put(object: Made, standing: Standing = "ours"): void {
    this.#foreign.set(`${object.kind} ${object.key}`, standing);
    this.#table.replace(object);
    this.#wake(new Set([announced(object.kind)]));
  }

  /** Whose a firewall object is: nothing about itself says so. */
  placed({ kind, key }: Obj): Standing {
    return this.#foreign.get(`${kind} ${key}`) ?? "ours";
  }

  /** An administrator removes something. Tells listeners. */
  remove(kind: Kind, key: string): void {
    this.#table.remove(kind, key);
    this.#wake(new Set([announced(kind)]));
  }

  /** Tells listeners that something changed, true or not. */
  emit(kinds: EventKinds): void {
    for (const ring of this.#rings) ring.happened(kinds);
    this.#wake(kinds);
  }

  #wake(kinds: EventKinds): void {
    for (const listener of this.#listeners) listener.tell(kinds);
  }

  /** A ring of its own for a process, until the signal is aborted. */
  ring(signal: AbortSignal): FakeRing {
    const ring = new FakeRing();
    this.#rings.add(ring);
    signal.addEventListener("abort", () => this.#rings.delete(ring), { once: true });
    return ring;
  }

  /** The process that carries the tunnels ends: their devices go with it, unless a service manager `keeps` them. */
  endProcess(keeps: boolean): void {
    this.#table.endTunnels(keeps);
    this.emit(new Set(["link"]));
  }

  async read(owner: Owner, scope: Scope): Promise<Observed[]> {
    await this.pause("read");
    const why = this.unreadable();
    if (why !== null) throw new Error(why);
    const devices = this.#devices(owner);
    const observed: Observed[] = [];
    for (const object of this.#table.all()) {
      if (!scope[isFirewall(object.kind) ? "firewall" : "network"]) continue;
      const standing = this.#standing(object, owner, devices);
      if (standing !== null) observed.push({ ...object, standing });
    }
    this.inspect(owner, scope, observed);
    return observed;
  }

  changes(owner: Owner): Promise<KernelChanges> {
    return Promise.resolve(this.#ring.take(this.judge(owner)));
  }

  /** Whose an object is, as things are now. */
  judge(owner: Owner): Judge {
    const devices = this.#devices(owner);
    return (object) => {
      const standing = this.#standing(object, owner, devices);
      return standing === null ? null : { ...object, standing };
    };
  }

  #devices(owner: Owner): Map<string, Standing> {
    const devices = new Map<string, Standing>();
    for (const device of owner.devices) {
      const link = this.#table.get("link", device);
      const standing = link && linkStanding(link, owner);
      if (standing) devices.set(device, standing);
    }
    return devices;
  }

  async apply(operations: readonly Operation[]): Promise<Outcome[]> {
    await this.pause("apply");
    const outcomes = operations.map((operation) => this.#applyOne(operation));
    // The real kernel does not say who changed an FDB entry, so our own changes come back as events.
    if (operations.some(({ object }) => object.kind === "fdb")) this.#wake(new Set(["fdb"]));
    // Nor does it count a TUN device among what we asked it for by netlink.
    if (operations.some(({ object }) => object.kind === "tunnel")) this.#wake(new Set(["link"]));
    return outcomes;
  }

  events(signal: AbortSignal): AsyncIterable<KernelEvent> {
    const listener = new Listener();
    this.#listeners.add(listener);
    // What was told before somebody listens is told to nobody.
    this.#rings.delete(this.#ring);
    this.#ring = new FakeRing();
    this.#rings.add(this.#ring);
    signal.addEventListener("abort", () => {
      this.#listeners.delete(listener);
      listener.tell(new Set());
    }, { once: true });
    return listener.until(signal);
  }

  interfaces(): Promise<Interface[]> {
    const { interfaces } = this.underlay;
    const others = this.objects().flatMap((o) =>
      o.kind === "link" && interfaces.every(({ name }) => name !== o.key) ? [o] : []
    );
    const made = others.map(({ key: name, fields }, i) => ({
      name,
      index: 100 + i,
      type: fields.type,
      alias: fields.alias,
      mtu: fields.mtu,
      up: fields.up,
      addresses: [],
    }));
    return Promise.resolve([...interfaces, ...made]);
  }

  routes(to: readonly Ip[]): Promise<(RouteAnswer | null)[]> {
    return Promise.resolve(to.map((address) => this.underlay.route(address)));
  }

  defaultRoutes(family: Family): Promise<DefaultRoute[]> {
    return Promise.resolve([...this.underlay.defaultRoutes(family)]);
  }

  occupied(owner: Owner): Promise<Occupied[]> {
    const ours = (name: string) => {
      const link = this.#table.get("link", name);
      const standing = link && linkStanding(link, owner);
      return standing === "ours" || standing === "adoptable";
    };
    const networks = this.underlay.interfaces.flatMap(({ name: device, addresses }) =>
      addresses.map(({ address, length }): Occupied => ({
        prefix: prefix(address, length),
        by: "network",
        device,
        bridge: false,
      }))
    );
    const routes = this.objects().flatMap(({ kind, fields }): Occupied[] => {
      if (kind !== "route" || fields.protocol === ROUTE_PROTOCOL) return [];
      const to = parsePrefix(fields.destination);
      const { device } = fields;
      return to === null || to.length === 0 ? [] : [{ prefix: to, by: "route", device, bridge: false }];
    });
    return Promise.resolve([...networks, ...routes].filter(({ device }) => device === null || !ours(device)));
  }

  tunnels(): readonly TunnelReport[] {
    return [];
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
  }

  #applyOne(operation: Operation): Outcome {
    const refused = this.refuse(operation, this.tried++);
    if (refused !== null) this.#halfDone(operation);
    const why = refused ?? this.#change(operation);
    const rules = this.rules.get(operation.object.kind)!;
    return why === null ? succeeded(operation) : failed(rules, operation, why);
  }

  /** A tunnel that can't be opened again is closed by then, and its device is gone. */
  #halfDone({ verb, object, before }: Operation): void {
    if (verb !== "modify" || object.kind !== "tunnel" || before?.kind !== "tunnel") return;
    if (onlySources(before.fields, object.fields)) return;
    this.#table.remove("tunnel", object.key);
  }

  #change({ verb, object }: Operation): string | null {
    switch (verb) {
      case "create":
        this.#foreign.delete(`${object.kind} ${object.key}`);
        return this.#table.create(object);
      case "modify":
        return this.#table.modify(object);
      case "recreate":
        this.#table.remove(object.kind, object.key);
        return this.#table.create(object);
      case "delete":
        return this.#table.remove(object.kind, object.key);
    }
  }

  #standing(object: Obj, owner: Owner, devices: ReadonlyMap<string, Standing>): Standing | null {
    switch (object.kind) {
      case "tunnel":
      case "peer":
        return "ours";
      case "link":
        return linkStanding(object, owner);
      case "address":
        return addressStanding(object, owner, devices);
      case "neighbour":
        return neighbourStanding(object, owner, devices);
      case "fdb":
        return fdbStanding(object, devices);
      case "nexthop":
        return nexthopStanding(object, owner, devices);
      case "route":
        return routeStanding(object, owner, devices);
      case "sysctl":
        return sysctlStanding(object, devices);
      default:
        return this.placed(object);
    }
  }
}

/** Gathers what was told since the last turn. */
class Listener {
  #told = new Set<Kind | "lost">();
  #wake: () => void = () => {};

  tell(kinds: EventKinds): void {
    for (const kind of kinds) this.#told.add(kind);
    this.#wake();
  }

  async *until(signal: AbortSignal): AsyncGenerator<KernelEvent> {
    while (!signal.aborted) {
      if (this.#told.size === 0) await new Promise<void>((resolve) => this.#wake = resolve);
      const kinds = this.#told;
      this.#told = new Set();
      if (kinds.size > 0 && !signal.aborted) yield { kinds };
    }
  }
}

/** The kind of the event that a change of this kind causes: nftables announces chains and jumps alike; of a tunnel, its device. */
function announced(kind: Kind): Kind {
  return kind === "tunnel" ? "link" : isFirewall(kind) ? "chain" : kind;
}
