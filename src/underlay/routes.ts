/**
 * The underlay as backends see it: the chosen device and, for backends that ask, how each peer is reached. The kernel's
 * answers are kept until a route, an address or a link changes; then all are asked anew, and it is told which differ.
 */
import type { Underlay } from "../backend/backend.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { formatIp, type Ip, parseIp } from "../model/ip.ts";

type Answer = ReturnType<Underlay["route"]>;

export class UnderlayRoutes {
  readonly #answers = new Map<string, Answer>();
  /** Of all answers it is unknown whether they still hold. */
  #stale = false;

  /** How `to` is reached; null where it is not, or was not asked for by `learn`. */
  route(to: Ip): Answer {
    return this.#answers.get(formatIp(to)) ?? null;
  }

  /**
   * Asks the kernel about those of `addresses` that are not known, and about all where they are in doubt.
   *
   * @returns those, as texts, that were known and are reached otherwise now
   */
  async learn(kernel: Pick<Kernel, "routes">, addresses: readonly Ip[]): Promise<ReadonlySet<string>> {
    const unknown = new Map<string, Ip>();
    for (const address of addresses) {
      const text = formatIp(address);
      if (!this.#answers.has(text)) unknown.set(text, address);
    }
    if (this.#stale) { for (const text of this.#answers.keys()) unknown.set(text, parseIp(text)!); }
    if (unknown.size === 0) return new Set();
    const answers = await kernel.routes([...unknown.values()]);
    const turned = new Set<string>();
    for (const [i, text] of [...unknown.keys()].entries()) {
      const answer = answers[i] ?? null;
      const now = answer && { onLink: answer.gateway === null, device: answer.device };
      const known = this.#answers.get(text);
      if (known !== undefined && !sameAnswer(known, now)) turned.add(text);
      this.#answers.set(text, now);
    }
    this.#stale = false;
    return turned;
  }

  /** Whatever is known may not hold any more. */
  doubt(): void {
    this.#stale = true;
  }
}

function sameAnswer(a: Answer, b: Answer): boolean {
  return a === b || (a !== null && b !== null && a.onLink === b.onLink && a.device === b.device);
}
