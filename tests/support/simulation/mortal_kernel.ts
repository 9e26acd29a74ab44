/**
 * The kernel as one simulated process sees it: the host's fake kernel with operations that take time, batches that die half
 * done, and events that come late, not at all or as an overflow. It also checks each operation before it is done:
 * - nothing is deleted before the process has seen a whole snapshot of the store;
 * - what is somebody else's is never changed or deleted;
 * - nothing of a peer is deleted whose record nobody has touched, and however the lists lie, not most of them at once;
 * - a tunnel's device, once there, stays where neither the configuration nor the underlay has changed.
 */
import type { Owner } from "../../../src/model/owner.ts";
import type { Scope } from "../../../src/model/plan.ts";
import type { FakeRing } from "../kernel/fake_ring.ts";
import type {
  DefaultRoute,
  Kernel,
  KernelChanges,
  KernelEvent,
  RouteAnswer,
} from "../../../src/kernel/kernel.ts";
import type { Family, Ip } from "../../../src/model/ip.ts";
import { type Obj, valueOf } from "../../../src/model/objects.ts";
import type { Observed, Operation, Outcome } from "../../../src/model/plan.ts";
import type { EtcdModel } from "../etcd_model.ts";
import type { SimHost } from "./host.ts";
import type { Life } from "./life.ts";

/** Of so many peers it takes a second look before most of them go. */
const FEWEST = 4;

export class MortalKernel implements Kernel {
  readonly rules: Kernel["rules"];
  /** What the process has seen no whole snapshot of. */
  readonly unseen = new Set<EtcdModel>();
  /** What was foreign at each of the last readings: which of them an operation was planned on, only its planner knows. */
  #seenForeign: readonly ReadonlySet<Obj>[] = [];
  readonly #host: SimHost;
  readonly #life: Life;
  /** Since it listens. */
  #ring: FakeRing | null = null;

  constructor(host: SimHost, life: Life) {
    this.#host = host;
    this.#life = life;
    this.rules = host.kernel.rules;
  }

  get hasNexthops(): boolean {
    return this.#host.kernel.hasNexthops;
  }

  read(owner: Owner, scope: Scope): Promise<Observed[]> {
    return this.#life.call(async () => {
      await this.#dawdle();
      this.#seenForeign = [new Set(this.#host.foreign.values()), ...this.#seenForeign.slice(0, 3)];
      return await this.#host.kernel.read(owner, scope);
    });
  }

  apply(operations: readonly Operation[]): Promise<Outcome[]> {
    return this.#life.call(async () => {
      const outcomes: Outcome[] = [];
      this.#checkShrinking(operations);
      for (const operation of operations) {
        await this.#dawdle();
        if (!this.#life.alive) break;
        this.#check(operation);
        const [outcome] = await this.#host.kernel.apply([operation]);
        outcomes.push(outcome!);
        if (outcome!.error === null) this.#overwrote(operation);
        this.#host.madeDevice(operation, outcome!);
      }
      return outcomes;
    });
  }

  changes(owner: Owner): Promise<KernelChanges> {
    const { kernel } = this.#host;
    return this.#life.call(() => this.#ring?.take(kernel.judge(owner)) ?? { told: null, underlay: true });
  }

  async *events(signal: AbortSignal): AsyncGenerator<KernelEvent> {
    const { faults, world, kernel } = this.#host;
    this.#ring = kernel.ring(signal);
    for await (const event of kernel.events(signal)) {
      await this.#life.moment();
      if (faults.eventDelayMs > 0) await world.clock.sleep(world.random.int(faults.eventDelayMs), signal);
      if (faults.lostEvents === 0) yield event;
      else if (this.#lost()) yield { kinds: new Set(["lost"]) };
    }
  }

  /** An event gets lost: silently, where a whole reading finds it out. @returns whether that is told */
  #lost(): boolean {
    const { faults, world } = this.#host;
    faults.lostEvents--;
    if (world.fullReads) {
      this.#host.misled = true;
      this.#ring?.lose();
    } else this.#ring?.happened(new Set(["lost"]));
    return !world.fullReads;
  }

  interfaces(): ReturnType<Kernel["interfaces"]> {
    return this.#ask((kernel) => kernel.interfaces());
  }

  routes(to: readonly Ip[]): Promise<(RouteAnswer | null)[]> {
    return this.#ask((kernel) => kernel.routes(to));
  }

  defaultRoutes(family: Family): Promise<DefaultRoute[]> {
    return this.#ask((kernel) => kernel.defaultRoutes(family));
  }

  occupied(owner: Owner): ReturnType<Kernel["occupied"]> {
    return this.#ask((kernel) => kernel.occupied(owner));
  }

  tunnels(): ReturnType<Kernel["tunnels"]> {
    return this.#host.kernel.tunnels();
  }

  [Symbol.dispose](): void {}

  /** A question about the underlay; it fails when readings do. */
  #ask<T>(question: (kernel: Kernel) => Promise<T>): Promise<T> {
    return this.#life.call(async () => {
      await this.#dawdle();
      const why = this.#host.kernel.unreadable();
      if (why !== null) throw new Error(why);
      return await question(this.#host.kernel);
    });
  }

  /** Each operation may take its time, and the process may die in between. */
  async #dawdle(): Promise<void> {
    const { faults, world } = this.#host;
    if (faults.slowMs > 0) await world.clock.sleep(world.random.int(faults.slowMs));
    if (this.#life.deathIn !== null || this.#life.frozen) await this.#life.moment();
  }

  #check(operation: Operation): void {
    const { verb, object } = operation;
    const { world, foreign, name } = this.#host;
    const what = `${name}: ${verb} ${object.kind} ${object.key}`;
    const theirs = foreign.get(`${object.kind} ${object.key}`);
    if (verb !== "create" && theirs !== undefined) {
      // Else it came between reading and writing, which no kernel interface can tell apart.
      const known = this.#seenForeign.every((seen) => seen.has(theirs));
      if (known) world.violation(`${what}: it is somebody else's`);
    }
    if (this.#losesTunnel(operation)) world.violation(`${what}: a tunnel's device goes for no reason`);
    if (verb !== "delete") return;
    if (this.unseen.size > 0) world.violation(`${what}: before a whole snapshot was seen`);
    const peer = world.untouched.misled.has(this.#host) ? null : world.untouched.peerOf(this.#host, object);
    if (peer !== null) world.violation(`${what}: it is of ${peer}, whose record nobody has touched`);
  }

  /** What came between reading and writing is gone. */
  #overwrote({ verb, object: { kind, key } }: Operation): void {
    if (verb !== "create") this.#host.foreign.delete(`${kind} ${key}`);
  }

  /** However a store lies, most peers of a family never go at once: a second look comes first. */
  #checkShrinking(operations: readonly Operation[]): void {
    const going = operations.filter(({ verb }) => verb === "delete");
    if (going.length === 0) return;
    const gone = new Set(going.map(({ object: { kind, key } }) => `${kind} ${key}`));
    const made = operations.flatMap(({ verb, object }) => verb === "delete" ? [] : object);
    const standing = this.#host.kernel.objects().filter(({ kind, key }) =>
      !this.#host.foreign.has(`${kind} ${key}`)
    );
    const left = [...standing.filter(({ kind, key }) => !gone.has(`${kind} ${key}`)), ...made];
    for (const family of [4, 6] as const) {
      const [before, after] = [peersOf(standing, family), peersOf(left, family)];
      const lost = before.difference(after);
      if (before.size < FEWEST || lost.size <= before.size / 2) continue;
      const ways = going.filter(({ object }) => leads(object) && lost.has(addressOf(object)));
      this.#checkGoing(ways, `${lost.size} of ${before.size}`);
    }
  }

  #checkGoing(going: readonly Operation[], most: string): void {
    const { world, name } = this.#host;
    for (const { object } of going) {
      const peer = world.untouched.peerOf(this.#host, object);
      if (peer === null) continue;
      world.violation(`${name}: ${most} peers go at once, and with them ${peer}, which nobody has touched`);
    }
  }

  /** True where packets are lost although whatever made the tunnel as it is, or as it was kept, is the same. */
  #losesTunnel({ verb, object }: Operation): boolean {
    const { world, addresses, underlay, kernel } = this.#host;
    if (!world.sameNetwork || addresses.size > 1 || underlay.bare) return false;
    const standing = kernel.get(object.kind, object.key);
    if (standing === undefined) return false;
    if (standing.kind !== "tunnel" && (standing.kind !== "link" || standing.fields.type !== "tun")) {
      return false;
    }
    const moves = (name: string) =>
      JSON.stringify(valueOf(standing.fields, name)) !== JSON.stringify(valueOf(object.fields, name));
    const reopens = object.kind === "tunnel" && ["port", "underlay", "queues"].some(moves);
    return verb === "delete" || verb === "recreate" || reopens;
  }
}

/** The peers of a family that anything of theirs stands for, by the address of their subnet. */
function peersOf(objects: readonly Obj[], family: Family): Set<string> {
  return new Set(objects.flatMap((object) => {
    const { kind, fields } = object;
    const address = kind === "neighbour" ? fields.address : leads(object) ? addressOf(object) : null;
    return address !== null && address.includes(":") === (family === 6) ? address : [];
  }));
}

/** @throws for what leads nowhere */
function addressOf({ kind, fields }: Obj): string {
  if (kind === "peer") return fields.subnet.replace(/\/\d+$/, "");
  if (kind === "route") return fields.destination.replace(/\/\d+$/, "");
  throw new Error(`a ${kind} leads nowhere`);
}

/** What leads to a peer, however long its subnet is. */
function leads({ kind, fields }: Obj): boolean {
  return kind === "peer" || (kind === "route" && typeof fields.gateway === "string");
}
