/**
 * Faults at random from a seed: which, where, for how long and when is drawn in one order, so that a seed means the same faults at
 * about the same times. A host, and etcd, has one fault at a time; what falls on one that is busy is counted as passed over.
 */
import type { Random } from "../../../src/model/clock.ts";
import { messageOf } from "../../../src/model/errors.ts";
import { pause } from "../process.ts";
import type { Topology } from "../topology.ts";
import type { Churn } from "./churn.ts";
import { type Fault, faults, type Scene } from "./faults.ts";
import type { Fleet, SoakHost } from "./fleet.ts";
import type { Gateway } from "./gateway.ts";

/** The longest that something stays away, in milliseconds. */
const AWAY_MS = 10_000;

interface Tally {
  struck: number;
  /** There was nothing to damage: the device was gone, the lease had just been deleted. */
  nothing: number;
}

export class Chaos {
  readonly tally = new Map<string, Tally>(faults.map(({ name }) => [name, { struck: 0, nothing: 0 }]));
  passedOver = 0;
  /** Faults that could not be undone, and the like: the soak itself is broken then. */
  readonly broken: string[] = [];
  readonly #running = new Set<Promise<void>>();
  #etcdBusy = false;

  constructor(
    private readonly world: { net: Topology; gateway: Gateway; fleet: Fleet; churn: Churn },
    private readonly random: Random,
  ) {}

  /** @param every seconds between two faults in the mean */
  async run(seconds: number, every: number): Promise<void> {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      await pause(this.random.int(2 * every * 1000));
      if (performance.now() >= end) break;
      this.#strike(this.#drawFault(), this.#drawHost(), this.random.int(AWAY_MS), this.random.int(1e9));
    }
    await Promise.all(this.#running);
  }

  #drawFault(): Fault {
    let left = this.random.int(faults.reduce((sum, { weight }) => sum + weight, 0));
    return faults.find(({ weight }) => (left -= weight) < 0)!;
  }

  #drawHost(): SoakHost {
    const { hosts } = this.world.fleet;
    return hosts[this.random.int(hosts.length)]!;
  }

  #strike(fault: Fault, host: SoakHost, ms: number, number: number): void {
    const busy = fault.on === "etcd" ? this.#etcdBusy : host.busy || host.daemon?.running !== true;
    const present = this.world.churn.present;
    if (busy || (fault.deadly && host.spared)) return void this.passedOver++;
    const { net, gateway } = this.world;
    const scene = { net, gateway, host, ms, lease: present[number % present.length]! };
    const running: Promise<void> = this.#play(fault, scene).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #play(fault: Fault, scene: Scene): Promise<void> {
    const { host } = scene;
    const occupy = (busy: boolean) => void (fault.on === "etcd" ? this.#etcdBusy = busy : host.busy = busy);
    occupy(true);
    try {
      const tally = this.tally.get(fault.name)!;
      await fault.strike(scene) ? tally.struck++ : tally.nothing++;
    } catch (error) {
      const text = `${fault.name} on ${fault.on === "etcd" ? "etcd" : host.name}: ${messageOf(error)}`;
      // While etcd is away nothing can be asked of it.
      if (fault.name === "etcd compacted" || fault.name === "host's own lease deleted") this.passedOver++;
      else this.broken.push(text);
    } finally {
      occupy(false);
    }
  }
}
