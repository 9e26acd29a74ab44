/**
 * The hosts and their daemons: started a few at a time, ended and started again by faults, started again with a complaint where
 * one ended by itself.
 */
import { launch } from "../daemon.ts";
import type { Process } from "../process.ts";
import type { Host } from "../topology.ts";

/** Daemons that start at a time, at the beginning. */
const LANES = 3;
const START_MS = 120_000;
const SETTLED_MS = 5_000;
/** Of what a daemon has said, this many lines are kept. */
const KEPT_LINES = 300;
/** Each of these hosts keeps its daemon through the whole run: memory is judged by what lives long. */
const SPARED = 4;

export class SoakHost {
  daemon: Process | null = null;
  /** How often a daemon was started here. */
  life = 0;
  /** A fault is at work; one at a time. */
  busy = false;
  /** When this daemon's network stood; its samples count from a little later on. */
  #stands = Infinity;

  constructor(readonly number: number, readonly place: Host, private readonly args: readonly string[]) {}

  get name(): string {
    return `h${this.number}`;
  }

  /** Faults may do everything but end its daemon. */
  get spared(): boolean {
    return this.number % SPARED === 1;
  }

  start(): void {
    this.life++;
    this.#stands = Infinity;
    this.daemon = launch(this.place, this.args);
  }

  async ready(): Promise<void> {
    await this.daemon!.line(/Running backend/, START_MS);
    this.#stands = performance.now();
  }

  /** Whether a start is no longer what its figures tell of. */
  get settled(): boolean {
    return performance.now() - this.#stands > SETTLED_MS;
  }

  /** Ends the daemon; its exit code. */
  async end(signal: Deno.Signal): Promise<number> {
    const daemon = this.daemon!;
    this.daemon = null;
    return await daemon.stop(signal, 30_000);
  }

  /** Long runs keep no more than the last lines, and nothing of processes that have ended. */
  forget(): void {
    const { processes } = this.place;
    processes.splice(0, processes.length, ...processes.filter(({ running }) => running));
    for (const { lines } of processes) lines.splice(0, Math.max(0, lines.length - KEPT_LINES));
  }
}

export class Fleet {
  readonly hosts: readonly SoakHost[];
  /** Daemons that ended though nobody had asked them to. */
  readonly deaths: string[] = [];

  constructor(places: readonly Host[], args: readonly string[]) {
    this.hosts = places.map((place, i) => new SoakHost(i + 1, place, args));
  }

  /** Starts all, a few at a time, and returns when every one runs. */
  async start(): Promise<void> {
    const waiting = [...this.hosts];
    await Promise.all(Array.from({ length: LANES }, async () => {
      for (let host = waiting.shift(); host !== undefined; host = waiting.shift()) {
        host.start();
        await host.ready();
      }
    }));
  }

  /** Looks for daemons that have ended by themselves. */
  attend(): void {
    for (const host of this.hosts) {
      host.forget();
      if (host.daemon === null || host.daemon.running) continue;
      this.deaths.push(`${host.name}: the daemon ended by itself\n${host.daemon.tail()}`);
      host.start();
      // A daemon that does not even get there has a complaint of its own in the end.
      host.ready().catch(() => {});
    }
  }
}
