/**
 * How long a host was without its tunnel: a userspace tunnel's device goes with the process, unless a service manager keeps
 * it. The moment of the stop is noted beside the subnet file, and the time since is told at the next ready. A killed process
 * notes nothing, and after a reboot the note means nothing.
 */
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";

export class Downtime {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(subnetFile: string, clock: Clock, log: Log) {
    this.#path = `${subnetFile}.stopped`;
    this.#clock = clock;
    this.#log = log;
  }

  /** To be called while the tunnels still run. */
  async note(kernel: Kernel): Promise<void> {
    const going = kernel.tunnels().filter(({ kept }) => !kept).map(({ device }) => device);
    if (going.length === 0) return this.#log.info("the network stays in place");
    this.#log.info(`${going.join(", ")} goes with this process: no packets until the next start`);
    const now = String(Math.round(this.#clock.boot()));
    await writeFileAtomic(this.#path, now, { what: "time of the stop" })
      .catch((error) => this.#log.warn(messageOf(error)));
  }

  /** Tells it once, where it is known. */
  async tell(): Promise<void> {
    const stopped = Number(await Deno.readTextFile(this.#path).catch(() => "NaN"));
    await Deno.remove(this.#path).catch(() => {});
    const ms = Math.round(this.#clock.boot() - stopped);
    if (ms >= 0) this.#log.info(`packets are carried again, ${ms} ms after the stop`);
  }
}
