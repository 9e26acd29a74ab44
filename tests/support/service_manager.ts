/**
 * A service manager with a store for descriptors around one daemon, as systemd is to a unit with `FileDescriptorStoreMax=`:
 * `service_manager.c`, built on first use.
 */
import { cProgram } from "./c_program.ts";
import { daemonCommand, STATE_DIRECTORY } from "./daemon.ts";
import type { Place } from "./netns.ts";
import { poll, type Process } from "./process.ts";

export class ServiceManager {
  private constructor(private readonly process: Process) {}

  /** Starts the daemon under a manager and waits until it is ready. */
  static async start(host: Place, args: readonly string[]): Promise<ServiceManager> {
    const command = [await cProgram("service_manager"), "/run/manager.sock", ...daemonCommand(), ...args];
    const manager = new ServiceManager(
      host.start("manager", command, { env: { NO_COLOR: "1", STATE_DIRECTORY } }),
    );
    await manager.#readyAgain(0);
    return manager;
  }

  /** All that the manager and the daemon have said. */
  get lines(): readonly string[] {
    return this.process.lines;
  }

  /** Ends the daemon, waits until its successor is ready, and returns how many descriptors that was handed. */
  async restart(signal: "SIGTERM" | "SIGKILL"): Promise<number> {
    const from = this.process.lines.length;
    this.process.signal(signal === "SIGTERM" ? "SIGUSR1" : "SIGUSR2");
    await this.#readyAgain(from);
    return Number(/^started (\d+)/.exec(await this.process.line(/^started/, 0, from))![1]);
  }

  /** A real stop: the store is emptied. */
  async stop(): Promise<void> {
    await this.process.stop();
  }

  async #readyAgain(from: number): Promise<void> {
    await poll("READY=1", 30_000, () => {
      if (!this.process.running) throw new Error("start the daemon under a manager: the manager ended");
      return this.process.lines.slice(from).includes("notify READY=1");
    });
  }
}
