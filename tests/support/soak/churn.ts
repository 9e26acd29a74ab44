/**
 * The further leases, of hosts that are not there: put, changed and deleted at a steady rate, around a constant number of them.
 *
 * A lease that changes gets another public IP and another MAC, which no lease has at that time. What etcd did not confirm counts
 * as unsure and is written anew in the next second.
 */
import { type ForeignLease, foreignLease } from "../../../bench/leases.ts";
import type { Random } from "../../../src/model/clock.ts";
import { pause } from "../process.ts";
import type { Gateway } from "./gateway.ts";

/** Of ten numbers one has no lease at a time. */
const SPARE = 0.1;
/** How many records a number has, one after the other; distinct from those of all other numbers. */
const GENERATIONS = 8;
/** The most leases that there can be: with those to spare, fewer numbers than lie between two generations. */
export const MOST = 6_000;
const STRIDE = 7_000;
/** Requests at a time while the leases are made. */
const BATCH = 50;

export class Churn {
  /** What etcd was told last, by number; null where there is no lease. */
  readonly #told: (ForeignLease | null)[];
  readonly #generations: number[];
  readonly #unsure = new Set<number>();
  readonly counts = { put: 0, changed: 0, deleted: 0, unsure: 0 };
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(private readonly gateway: Gateway, readonly leases: number, readonly random: Random) {
    this.#told = Array.from({ length: Math.ceil(leases * (1 + SPARE)) }, () => null);
    this.#generations = this.#told.map(() => 0);
  }

  /** Every lease that etcd has to have by now. */
  get present(): ForeignLease[] {
    return this.#told.filter((lease) => lease !== null);
  }

  /** Puts the first leases. */
  async fill(): Promise<void> {
    for (let from = 0; from < this.leases; from += BATCH) {
      const numbers = Array.from({ length: Math.min(BATCH, this.leases - from) }, (_, i) => from + i);
      await Promise.all(numbers.map((number) => this.#put(number)));
    }
    if (this.#unsure.size > 0) {
      throw new Error(`put ${this.leases} leases: etcd refused ${this.#unsure.size}`);
    }
  }

  /** @param rate changes a second */
  start(rate: number): void {
    this.#running = this.#run(rate);
  }

  /** Ends it, once etcd has confirmed all. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    while (this.#unsure.size > 0) {
      await Promise.all([...this.#unsure].map((number) => this.#put(number)));
      await pause(200);
    }
  }

  async #run(rate: number): Promise<void> {
    while (!this.#stopped) {
      const second = pause(1000);
      const numbers = new Set(this.#unsure);
      while (numbers.size < rate) numbers.add(this.random.int(this.#told.length));
      await Promise.all([...numbers].map((number) => this.#change(number)));
      await second;
    }
  }

  async #change(number: number): Promise<void> {
    const deletes = this.#told[number] !== null && this.random.int(1000) < 1000 * SPARE;
    await (deletes && !this.#unsure.has(number) ? this.#remove(number) : this.#put(number));
  }

  async #put(number: number): Promise<void> {
    const lease = this.#record(number);
    const kind = this.#told[number] === null ? "put" : "changed";
    this.#told[number] = lease;
    await this.#tell(number, kind, this.gateway.put(lease));
  }

  async #remove(number: number): Promise<void> {
    const { key } = this.#told[number]!;
    this.#told[number] = null;
    await this.#tell(number, "deleted", this.gateway.remove(key));
  }

  async #tell(number: number, kind: "put" | "changed" | "deleted", telling: Promise<void>): Promise<void> {
    try {
      await telling;
      this.#unsure.delete(number);
      this.counts[kind]++;
    } catch {
      this.#unsure.add(number);
      this.counts.unsure++;
    }
  }

  #record(number: number): ForeignLease {
    const generation = this.#generations[number]!;
    this.#generations[number] = (generation + 1) % GENERATIONS;
    const { key, subnet, address } = foreignLease(number);
    return { ...foreignLease(number + STRIDE * generation), key, subnet, address };
  }
}
