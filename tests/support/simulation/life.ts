/**
 * The life of one simulated process: it can be killed at any call to the outside, or stand still (SIGSTOP, a suspended
 * machine) until it is let go on.
 *
 * All that a process does outside of itself goes through `call`. A dead process never gets an answer and does nothing more;
 * what it had asked for may still have happened, as on a real machine.
 */

export class Life {
  #alive = true;
  #frozen: PromiseWithResolvers<void> | null = null;
  /** Calls (each counts twice: before it is done and before its answer) until the process dies; null for ever. */
  deathIn: number | null = null;

  /** @param died called once, at the moment of death */
  constructor(readonly died: () => void) {}

  get alive(): boolean {
    return this.#alive;
  }

  get frozen(): boolean {
    return this.#frozen !== null;
  }

  /** One call to the outside. */
  async call<T>(work: () => T | Promise<T>): Promise<T> {
    await this.moment();
    const answer = await work();
    await this.moment();
    return answer;
  }

  /** A place where the process can die or stand still. */
  moment(): Promise<void> {
    if (this.deathIn !== null && --this.deathIn <= 0) this.kill();
    return this.awake();
  }

  /** Resolves while the process runs; never where it is dead. */
  awake(): Promise<void> {
    if (!this.#alive) return new Promise(() => {});
    return this.#frozen === null ? running : this.#frozen.promise.then(() => this.awake());
  }

  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.died();
  }

  freeze(): void {
    this.#frozen ??= Promise.withResolvers();
  }

  thaw(): void {
    this.#frozen?.resolve();
    this.#frozen = null;
  }
}

const running = Promise.resolve();
