/**
 * Keeps what should stand standing: the network's rounds and the firewall's, each in its own time, because programs that set up a
 * firewall may take seconds and a peer must not wait for them. What can't be read is told, and tried again; what fails never keeps
 * anything else from being done.
 */
import { runTasks } from "../async/tasks.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock, Random } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Log } from "../observe/log.ts";
import { FirewallRounds, type WantedFirewall } from "./firewall_rounds.ts";
import { NetworkRounds, type WantedNetwork } from "./network_rounds.ts";
import { type Reason, RoundLoop } from "./round_loop.ts";
import { type Asked, RoundReport } from "./round_report.ts";
import type { Part, Round } from "./rounds.ts";

export interface ReconcilerPorts {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  network(): Promise<WantedNetwork>;
  firewall(): WantedFirewall;
  /** What the network's underlay depends on may have changed. */
  underlayChanged(): void;
  /** Lists the store a second time; true where it agrees with what we know. What it says otherwise is taken in. */
  secondLook(signal: AbortSignal): Promise<boolean>;
  /** After each round. */
  finished(round: Round): void;
  /** After a round that could not read what stands: why. */
  unread(part: Part, why: string): void;
}

export type Asking = Partial<Record<Part, Reason>>;

export class Reconciler {
  readonly #ports: ReconcilerPorts;
  readonly #report: RoundReport;
  readonly #network: NetworkRounds;
  readonly #loops: Readonly<Record<Part, RoundLoop>>;

  constructor(ports: ReconcilerPorts) {
    this.#ports = ports;
    this.#report = new RoundReport(ports.log, ports.clock, ports.kernel.rules);
    const finished = (round: Round, asked: Asked) => {
      this.#report.round(round, asked);
      ports.finished(round);
    };
    const again = (reads: boolean) => this.#loops.network.request(reads ? "all" : "changes");
    this.#network = new NetworkRounds({ ...ports, wanted: () => ports.network(), finished, again });
    const firewall = new FirewallRounds({ ...ports, wanted: () => ports.firewall(), finished });
    const { clock, random } = ports;
    const loop = (part: Part, look: (why: Reason, signal: AbortSignal) => Promise<Round>) =>
      new RoundLoop({ clock, random, settle: (why, signal) => this.#settle(part, () => look(why, signal)) });
    this.#loops = {
      network: loop(
        "network",
        (why, signal) => this.#network.look({ reads: why !== "changes", counts: why === "period" }, signal),
      ),
      firewall: loop("firewall", () => firewall.look()),
    };
  }

  /** Objects that stood otherwise than the kernel had told, as whole readings have found. */
  get missed(): number {
    return this.#network.missed;
  }

  /** Asks for rounds, soon. @param gathers more of the same may be about to come */
  request({ network, firewall }: Asking, { gathers = false } = {}): void {
    if (network !== undefined) this.#loops.network.request(network, gathers);
    if (firewall !== undefined) this.#loops.firewall.request(firewall, gathers);
  }

  /** Runs rounds until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await runTasks([(s) => this.#loops.network.run(s), (s) => this.#loops.firewall.run(s)], signal);
  }

  /** @returns whether all of the part is as it should be */
  async #settle(part: Part, look: () => Promise<Round>): Promise<boolean> {
    try {
      const round = await look();
      this.#report.readable(part);
      return round.failed.length === 0;
    } catch (error) {
      this.#report.unreadable(part, error);
      this.#ports.unread(part, messageOf(error));
      return false;
    }
  }
}
