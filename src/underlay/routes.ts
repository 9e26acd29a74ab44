/**
 * The underlay as backends see it: the chosen device and, for backends that ask, how each peer is reached. The kernel's
 * answers are kept until a route, an address or a link changes; then all are asked anew.
 */
import type { Underlay } from "../backend/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { formatIp, type Ip } from "../model/ip.ts";

type Answer = ReturnType<Underlay["route"]>;

export class UnderlayRoutes {
  readonly #answers = new Map<string, Answer>();

  /** How `to` is reached; null where it is not, or was not asked for by `learn`. */
  route(to: Ip): Answer {
    return this.#answers.get(formatIp(to)) ?? null;
  }

  /** Asks the kernel about those of `addresses` that are not known. */
  async learn(kernel: Kernel, addresses: readonly Ip[]): Promise<void> {
    const unknown = addresses.filter((address) => !this.#answers.has(formatIp(address)));
    if (unknown.length === 0) return;
    const answers = await kernel.routes(unknown);
    for (const [i, address] of unknown.entries()) {
      const answer = answers[i] ?? null;
      this.#answers.set(
        formatIp(address),
        answer && { onLink: answer.gateway === null, device: answer.device },
      );
    }
  }

  forget(): void {
    this.#answers.clear();
  }
}
