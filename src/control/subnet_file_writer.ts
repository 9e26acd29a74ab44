/**
 * Keeps the subnet file as it should be: written when the network first stands, again when its content changes, and again
 * when somebody removed or changed it. A failing write is said once, tried again with back-off, and keeps us unready. That it
 * was removed or changed is said at once; where it happens again and again, once in a minute.
 */
import type { Instant } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import { Lasting } from "../observe/lasting.ts";
import { Backoff } from "../async/backoff.ts";
import type { OverlayPorts } from "./ports.ts";
import { Trigger } from "../async/trigger.ts";

/** The least time between two lines about somebody who removes or changes the file. */
const QUIET_MS = 60_000;

export class SubnetFileWriter {
  /** Resolves after the first successful write. */
  readonly written: Promise<void>;
  readonly #ports: Pick<OverlayPorts, "clock" | "random" | "log" | "subnetFile">;
  readonly #trigger = new Trigger();
  readonly #backoff: Backoff;
  readonly #firstWrite: () => void;
  #wanted: string | null = null;
  #standing: string | null = null;
  readonly #trouble: Lasting;
  #quietUntil: Instant = -Infinity;
  #untold = 0;

  constructor(ports: Pick<OverlayPorts, "clock" | "random" | "log" | "subnetFile">) {
    this.#ports = ports;
    this.#backoff = new Backoff(1_000, 30_000, ports.random);
    this.#trouble = new Lasting(ports.log, ports.clock);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.written = promise;
    this.#firstWrite = resolve;
  }

  /** Why it could not be written, while that lasts. */
  get trouble(): string | null {
    return this.#trouble.what;
  }

  /** True while the file says what it should, as far as we know. */
  get current(): boolean {
    return this.#wanted !== null && this.#wanted === this.#standing;
  }

  /** What the file should say from now on. */
  want(text: string): void {
    if (text === this.#wanted) return;
    this.#wanted = text;
    this.#trigger.ring();
  }

  /** What the file says is right no more, and what it should say is not known yet. */
  outdated(): void {
    this.#wanted = null;
  }

  /** Has a look whether the file still says it. */
  check(): void {
    this.#trigger.ring();
  }

  /** Has a look whenever somebody may have touched it. */
  async follow(signal: AbortSignal): Promise<void> {
    for await (const _ of this.#ports.subnetFile.changes(signal)) this.check();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#trigger.wait(signal);
      while (this.#wanted !== null && !await this.#ensure(this.#wanted)) {
        await this.#ports.clock.sleep(this.#backoff.next(), signal);
      }
    }
  }

  /** True where the file says `text` in the end. */
  async #ensure(text: string): Promise<boolean> {
    const { subnetFile, log } = this.#ports;
    try {
      const there = await subnetFile.read();
      if (there !== text) {
        const damaged = this.#standing === text;
        this.#standing = null;
        await subnetFile.write(text);
        if (damaged) this.#repaired(there === null ? "removed" : "changed");
        else log.info(`Wrote subnet file to ${subnetFile.path}`, { file: subnetFile.path });
      }
    } catch (error) {
      const message = messageOf(error);
      this.#trouble.is(message, `${message}; trying again`, { file: subnetFile.path, error: message });
      return false;
    }
    this.#standing = text;
    this.#trouble.over("the subnet file is as it should be again", { file: subnetFile.path });
    this.#backoff.reset();
    this.#firstWrite();
    return true;
  }

  #repaired(how: string): void {
    const { clock, log, subnetFile } = this.#ports;
    const now = clock.boot();
    if (now < this.#quietUntil) return void this.#untold++;
    const before = this.#untold === 0 ? "" : `, as ${this.#untold} times in the last while`;
    log.warn(`subnet file "${subnetFile.path}": somebody ${how} it${before}; it is written again`);
    this.#quietUntil = now + QUIET_MS;
    this.#untold = 0;
  }
}
