/** What each daemon holds and how much stands on its host, at a steady rate. */
import { pause } from "../process.ts";
import { vitals } from "../vitals.ts";
import type { Fleet, SoakHost } from "./fleet.ts";

export interface Sample {
  /** Seconds since the faults began; the last ones come after them. */
  readonly at: number;
  readonly host: string;
  /** The how manieth daemon of the host. */
  readonly life: number;
  /** Resident, in KiB. */
  readonly memory: number;
  readonly descriptors: number;
  readonly threads: number;
  /** How many of the daemon's stand, for how many peers there are in etcd. */
  readonly routes: number;
  readonly neighbours: number;
  readonly fdb: number;
  readonly nexthops: number;
  readonly peers: number;
}

export class Sampler {
  readonly samples: Sample[] = [];
  readonly #start = performance.now();
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  /** @param peers how many a host has to have by now; @param file is appended to */
  constructor(
    private readonly fleet: Fleet,
    private readonly peers: () => number,
    private readonly file: string | null,
  ) {}

  start(seconds: number): void {
    this.#running = (async () => {
      while (!this.#stopped) {
        const period = pause(seconds * 1000);
        this.fleet.attend();
        await this.take();
        await period;
      }
    })();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** One sample of every host whose daemon has been there for a while. */
  async take(): Promise<void> {
    const at = Math.round((performance.now() - this.#start) / 1000);
    for (const host of this.fleet.hosts) {
      const sample = await this.#sample(host, at);
      if (sample === null) continue;
      this.samples.push(sample);
      if (this.file !== null) await Deno.writeTextFile(this.file, JSON.stringify(sample) + "\n", APPEND);
    }
  }

  async #sample(host: SoakHost, at: number): Promise<Sample | null> {
    const { daemon, life, name } = host;
    if (!daemon?.running || !host.settled) return null;
    const peers = this.peers();
    const held = await vitals(daemon).catch(() => null);
    if (held === null || Number.isNaN(held.memory)) return null;
    const counted = (await host.place.run(["sh", "-c", COUNTS])).trim().split("\n").map(Number);
    const [routes = 0, neighbours = 0, fdb = 0, nexthops = 0] = counted;
    return { at, host: name, life, ...held, routes, neighbours, fdb, nexthops, peers };
  }
}

const APPEND = { append: true };

const COUNTS = `
ip -4 route show table all proto 85 | wc -l
ip -4 neigh show dev flannel.1 nud permanent 2> /dev/null | wc -l
bridge fdb show dev flannel.1 2> /dev/null | wc -l
ip nexthop show | wc -l`;
