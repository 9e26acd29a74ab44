/**
 * The underlay as backends see it: the chosen device and, for backends that ask, how each peer is reached. The kernel's
 * answers are kept until a route, an address or a link changes; then all are asked anew, and it is told which differ.
 */
import type { Underlay } from "../backend/backend.ts";
import type { Kernel, RouteAnswer } from "../kernel/kernel.ts";
import { formatIp, type Ip } from "../model/ip.ts";

type Answer = ReturnType<Underlay["route"]>;

export class UnderlayRoutes {
  #answers = new Map<string, Answer>();
  #stale = false;

  /** True where it is unknown whether the answers still hold: the next question is to be about all that matter. */
  get stale(): boolean {
    return this.#stale;
  }

  /** How `to` is reached; null where it is not, or was not asked for by `learn`. */
  route(to: Ip): Answer {
    return this.#answers.get(formatIp(to)) ?? null;
  }

  /**
   * Asks the kernel about those of `addresses` that are not known; where answers are in doubt about all of them, and whatever else
   * was known is forgotten.
   *
   * @returns those, as texts, that were known and are reached otherwise now
   */
  async learn(kernel: Pick<Kernel, "routes">, addresses: readonly Ip[]): Promise<ReadonlySet<string>> {
    const [before, all] = [this.#answers, this.#stale];
    // What comes into doubt while the kernel answers stays in doubt.
    this.#stale = false;
    try {
      const asked = new Map(addresses.map((address) => [formatIp(address), address]));
      if (!all) { for (const text of [...asked.keys()]) if (before.has(text)) asked.delete(text); }
      const answers = asked.size === 0 ? [] : await kernel.routes([...asked.values()]);
      const known = [...asked.keys()].map((text, i) => [text, answerOf(answers[i] ?? null)] as const);
      this.#answers = new Map([...all ? [] : before, ...known]);
      return new Set(known.flatMap(([text, is]) => {
        const was = before.get(text);
        return was === undefined || sameAnswer(was, is) ? [] : text;
      }));
    } catch (error) {
      this.#stale ||= all;
      throw error;
    }
  }

  /** Whatever is known may not hold any more. */
  doubt(): void {
    this.#stale = true;
  }
}

function answerOf(answer: RouteAnswer | null): Answer {
  return answer && { onLink: answer.gateway === null, device: answer.device };
}

function sameAnswer(a: Answer, b: Answer): boolean {
  return a === b || (a !== null && b !== null && a.onLink === b.onLink && a.device === b.device);
}
