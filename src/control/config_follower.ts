/**
 * The network configuration while we run: a new one is applied where our subnet fits it, otherwise the old network goes on, and
 * that is a reason not to be ready.
 */
import type { Backend } from "../backend/backend.ts";
import { backendFor } from "../backend/registry.ts";
import type { Clock } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Subnets } from "../model/lease.ts";
import type { NetworkConfig } from "../model/network_config.ts";
import { abortable } from "../async/abortable.ts";
import { Lasting } from "../observe/lasting.ts";
import type { Log } from "../observe/log.ts";
import type { ConfigReading } from "../store/store.ts";
import { describeNetworks, judgeConfigChange } from "./config_change.ts";
import type { ConfigNotes } from "./config_notes.ts";
import { ConfigTrouble } from "./config_trouble.ts";
import { later } from "../async/later.ts";

/** How long until a configuration that could not be applied is tried again. */
const RETRY_MS = 5_000;

export interface ConfigFollowerPorts {
  readonly log: Log;
  readonly clock: Clock;
  readonly notes: ConfigNotes;
  /** They go on since before the run, and end with the start's signal, which may outlive the run's. */
  readonly readings: AsyncIterator<ConfigReading>;
  /** As of now. */
  network(): NetworkConfig;
  subnets(): Subnets;
  /** The network that we have is given up for another. */
  leaving(network: NetworkConfig): void;
  /** @throws where it can't be applied; the old one goes on then */
  apply(network: NetworkConfig, backend: Backend): Promise<void>;
}

export class ConfigFollower {
  readonly #trouble: ConfigTrouble;
  readonly #unfit: Lasting;
  /** The last configuration that could be read. */
  #newest: NetworkConfig | null = null;

  constructor(private readonly ports: ConfigFollowerPorts) {
    this.#trouble = new ConfigTrouble(ports.log, ports.clock);
    this.#unfit = new Lasting(ports.log, ports.clock, "error");
  }

  /** Why this host is not ready, or null. */
  get reason(): string | null {
    return this.#trouble.reason ?? this.#unfit.what;
  }

  /** What is worth knowing beside. */
  get notes(): string[] {
    return this.#trouble.notes;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { readings, notes } = this.ports;
    while (!signal.aborted) {
      const { value, done } = await abortable(readings.next(), signal);
      if (done) return;
      this.#trouble.take(value);
      if (value.type === "problem") continue;
      const backend = backendFor(value.config);
      notes.tell(value, "problem" in backend ? null : backend);
      await this.#changed(value.config, signal);
    }
  }

  async #changed(config: NetworkConfig, signal: AbortSignal): Promise<void> {
    this.#newest = config;
    const network = describeNetworks(config);
    const change = judgeConfigChange(this.ports.network(), config, this.ports.subnets());
    if (change.type === "unfit") this.#unfit.is(change.text, change.text, { network });
    else if (change.type === "same") this.#fitsAgain();
    if (change.type !== "fits") return;
    this.ports.log.info(change.text, { network });
    this.ports.leaving(this.ports.network());
    await this.#apply(config, change.backend, signal);
  }

  /** What keeps us from it may pass (a reading that failed, an MTU too small): it is tried again while it is the newest. */
  async #apply(config: NetworkConfig, backend: Backend, signal: AbortSignal): Promise<void> {
    if (config !== this.#newest) return;
    try {
      await this.ports.apply(config, backend);
      this.#fitsAgain();
      // One that came meanwhile was judged by the configuration before this.
      if (config !== this.#newest) await this.#changed(this.#newest, signal);
    } catch (error) {
      // The newest was judged by the configuration that still goes on.
      if (config !== this.#newest) return;
      const text = `apply the changed network configuration: ${messageOf(error)}; the old network goes on`;
      this.#unfit.is(text, text, { network: describeNetworks(config), error: messageOf(error) });
      later(this.ports.clock, RETRY_MS, signal, () => this.#apply(config, backend, signal));
    }
  }

  #fitsAgain(): void {
    this.#unfit.over("network configuration: our network is right for it again");
  }
}
