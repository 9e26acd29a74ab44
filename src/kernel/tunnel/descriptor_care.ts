/**
 * Closing descriptors and telling the service manager of them, where neither may stop anything: one that can't be closed keeps
 * no other from it, and a manager that does not answer is told again. What went wrong is said, once while it lasts.
 */
import { messageOf } from "../../model/errors.ts";
import type { KeptDescriptors } from "./kept_descriptors.ts";

export class DescriptorCare {
  /** Names under which the manager may hold what is closed here: its copies keep a device from going. */
  readonly #unforgotten = new Set<string>();
  /** Why the manager has no copies, by name. */
  readonly #unkept = new Map<string, string>();

  constructor(readonly kept: KeptDescriptors, readonly say: (text: string) => void) {}

  close(fds: readonly (number | null)[]): void {
    for (const fd of fds) {
      try {
        if (fd !== null) this.kept.close(fd);
      } catch (error) {
        this.say(messageOf(error));
      }
    }
  }

  /** Copies for the manager, in place of those that it has under the name. */
  keep(name: string, fds: readonly number[]): void {
    const before = this.#unkept.get(name);
    try {
      if (this.#unforgotten.delete(name)) this.kept.forget(name);
      this.kept.keep(name, fds);
      this.#unkept.delete(name);
      if (before !== undefined) this.say("the service manager answers again: a restart interrupts nothing");
    } catch (error) {
      const text = messageOf(error);
      this.#unkept.set(name, text);
      if (text !== before) this.say(`${text}; packets flow, but a restart interrupts them; trying again`);
    }
  }

  /** True where the manager could not be given copies. */
  lacks(name: string): boolean {
    return this.#unkept.has(name);
  }

  forget(name: string): void {
    this.#unkept.delete(name);
    try {
      this.kept.forget(name);
      this.#unforgotten.delete(name);
    } catch (error) {
      if (!this.#unforgotten.has(name)) this.say(`${messageOf(error)}; trying again`);
      this.#unforgotten.add(name);
    }
  }

  /** Tells the manager once more what it could not be told. */
  look(): void {
    for (const name of this.#unforgotten) this.forget(name);
  }
}
