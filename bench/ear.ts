/**
 * Hears what happens in a network namespace, with the time at which it did: routes that come and go, and READY=1.
 *
 * A thread of its own blocks in recv() and writes every event with the clock's reading into shared memory, so that neither
 * polling nor this process's event loop is in the times. Times are milliseconds of CLOCK_MONOTONIC, as `now()` gives.
 */
import { now } from "./libc.ts";

export type EarEvent = "added" | "deleted" | "datagram";

export interface Heard {
  readonly event: EarEvent;
  /** Of a route's destination, as a number. */
  readonly address: number;
  readonly at: number;
}

/** In the order of their numbers in shared memory. */
export const events: readonly EarEvent[] = ["added", "deleted", "datagram"];
/** Events that one ear can hear in its life. */
export const ROOM = 1 << 18;

/** What the thread writes: `counters` are events so far, and 1 once it shall end. */
export interface Shared {
  readonly counters: Int32Array<SharedArrayBuffer>;
  readonly times: Float64Array<SharedArrayBuffer>;
  readonly addresses: Uint32Array<SharedArrayBuffer>;
  readonly kinds: Uint8Array<SharedArrayBuffer>;
}

export type Source = { readonly routesOf: number } | { readonly socket: string };

export class Ear implements AsyncDisposable {
  readonly #shared: Shared;
  readonly #worker: Worker;

  private constructor(shared: Shared, worker: Worker) {
    this.#shared = shared;
    this.#worker = worker;
  }

  /** @param source the IPv4 routes (main table) in the network namespace of a process, or a datagram socket to be made */
  static async open(source: Source): Promise<Ear> {
    const shared = {
      counters: new Int32Array(new SharedArrayBuffer(8)),
      times: new Float64Array(new SharedArrayBuffer(8 * ROOM)),
      addresses: new Uint32Array(new SharedArrayBuffer(4 * ROOM)),
      kinds: new Uint8Array(new SharedArrayBuffer(ROOM)),
    };
    const worker = new Worker(new URL("ear_thread.ts", import.meta.url), { type: "module" });
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ source, shared });
    });
    return new Ear(shared, worker);
  }

  /** How many events were heard so far: where to listen from. */
  get position(): number {
    return Atomics.load(this.#shared.counters, 0);
  }

  since(position: number): Heard[] {
    const { times, addresses, kinds } = this.#shared;
    return Array.from({ length: this.position - position }, (_, i) => ({
      event: events[kinds[position + i]!]!,
      address: addresses[position + i]!,
      at: times[position + i]!,
    }));
  }

  /**
   * What was heard since `position`, as soon as `enough` says so. Looks every millisecond, where there is news.
   *
   * @throws Error after `ms` milliseconds
   */
  async until(
    what: string,
    ms: number,
    position: number,
    enough: (heard: readonly Heard[]) => boolean,
  ): Promise<Heard[]> {
    const end = now() + ms;
    let seen = -1;
    while (now() < end) {
      if (seen !== this.position) {
        seen = this.position;
        const heard = this.since(position);
        if (enough(heard)) return heard;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`wait for ${what}: not seen within ${ms} ms, ${this.position - position} events`);
  }

  /** When the last of `count` more routes has come. */
  async added(count: number, position: number, ms = 60_000): Promise<number> {
    const heard = await this.until(`${count} routes`, ms, position, (all) => {
      return all.length >= count && new Set(all.filter(isAdded).map((e) => e.address)).size >= count;
    });
    return heard.findLast(isAdded)!.at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#worker.onmessage = resolve);
    Atomics.store(this.#shared.counters, 1, 1);
    await ended;
    this.#worker.terminate();
  }
}

function isAdded({ event }: Heard): boolean {
  return event === "added";
}
