/**
 * Every state that a scenario can reach, breadth first, so that the trace to a fault is a shortest one.
 *
 * Looked at: in states where nothing but a fault can happen, what must hold then; in every state, that nobody was evicted; and among
 * the steps that are no faults, that there is no cycle (an endless quarrel) and how many writes the longest way has.
 */
import { faults } from "./faults.ts";
import { overlapping, type Step, steps } from "./steps.ts";
import { canonical, copy, describe, encode, type State } from "./world.ts";

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly start: () => State;
  /** What must hold besides where nothing but a fault can happen; a sentence where it does not. */
  readonly also?: (state: State) => string | null;
}

export interface Outcome {
  readonly states: number;
  /** Of the longest way without a fault. */
  readonly writes: number;
  /** What went wrong, and the way there; null where nothing did. */
  readonly failure: string | null;
}

/** @param most states; beyond it the exploration gives up with a failure */
export function explore({ start, also }: Scenario, most = Infinity): Outcome {
  const found = new Graph(canonical(start()));
  for (let n = 0; n < found.size; n++) {
    if (found.size > most) return { states: found.size, writes: 0, failure: `more than ${most} states` };
    const state = found.state(n);
    const moves = found.expand(n, state);
    const wrong = state.evicted
      ? "a connected owner with an id of its own lost its subnet"
      : moves
      ? null
      : atRest(state) ?? also?.(state) ?? null;
    if (wrong !== null) return { states: found.size, writes: 0, failure: `${wrong}\n${found.trace(n)}` };
  }
  const { cycle, longest } = found.quarrels();
  const failure = cycle === null ? null : `an endless quarrel\n${found.trace(cycle)}`;
  return { states: found.size, writes: longest, failure };
}

/** What must hold where nothing but a fault can happen. */
function atRest({ store, hosts, limits }: State): string | null {
  const free = store.some(({ present }, n) => !present && !overlapping({ limits, store }, n)?.present);
  for (const [i, host] of hosts.entries()) {
    if (!host.up || host.kind !== "ours") continue;
    if (host.holds === 0 && free) return `h${i} has no subnet although one is free`;
    const rec = store[host.holds - 1];
    if (host.holds > 0 && (!rec!.present || rec!.id !== host.id)) {
      return `h${i} believes in a subnet that is not its own`;
    }
    for (const [j, other] of hosts.entries()) {
      if (j === i || !other.up) continue;
      if (host.holds > 0 && host.holds === other.holds) return `h${i} and h${j} both hold s${host.holds - 1}`;
      if (limits.overlap && host.holds === 1 && other.holds === 2) return `h${i} and h${j} overlap`;
      if (other.kind === "ours" && host.id === other.id) return `h${i} and h${j} have one id, and so one MAC`;
    }
  }
  return null;
}

/** States by number, with the steps between them that are no faults. */
class Graph {
  readonly #numbers = new Map<string, number>();
  readonly #states: (State | null)[] = [];
  readonly #from: number[] = [];
  /** By state: number and writes of each next one, by turns. */
  readonly #next: Int32Array[] = [];

  constructor(readonly first: State) {
    this.#add(first, -1);
  }

  get size(): number {
    return this.#from.length;
  }

  state(n: number): State {
    return this.#states[n]!;
  }

  /** Adds what follows. @returns whether anything but a fault does */
  expand(n: number, state: State): boolean {
    const out: number[] = [];
    all(state, ({ to, writes, fault }) => {
      const next = this.#add(to, n);
      if (!fault) out.push(next, writes);
    });
    this.#next[n] = Int32Array.from(out);
    this.#states[n] = null;
    return out.length > 0;
  }

  #add(state: State, from: number): number {
    const key = encode(state);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const n = this.#from.push(from) - 1;
    this.#numbers.set(key, n);
    this.#states.push(state);
    return n;
  }

  /** A cycle among the steps that are no faults, or the longest way by them. */
  quarrels(): { cycle: number | null; longest: number } {
    const [open, closed] = [1, 2];
    const colour = new Uint8Array(this.size);
    const best = new Int32Array(this.size);
    for (let root = 0; root < this.size; root++) {
      if (colour[root] !== 0) continue;
      const stack: [n: number, at: number][] = [[root, 0]];
      colour[root] = open;
      while (stack.length > 0) {
        const top = stack.at(-1)!;
        const [n, at] = top;
        const next = this.#next[n]!;
        if (at < next.length) {
          top[1] += 2;
          const to = next[at]!;
          if (colour[to] === open) return { cycle: to, longest: 0 };
          if (colour[to] === 0) {
            colour[to] = open;
            stack.push([to, 0]);
          }
          continue;
        }
        for (let e = 0; e < next.length; e += 2) best[n] = Math.max(best[n]!, best[next[e]!]! + next[e + 1]!);
        colour[n] = closed;
        stack.pop();
      }
    }
    return { cycle: null, longest: best.reduce((a, b) => Math.max(a, b), 0) };
  }

  /** The way to a state, a line a step; `*` marks faults. */
  trace(n: number): string {
    const way: number[] = [];
    for (let at = n; at >= 0; at = this.#from[at]!) way.unshift(at);
    const keys = new Map(
      [...this.#numbers].filter(([, number]) => way.includes(number)).map(([k, v]) => [v, k]),
    );
    const lines: string[] = [];
    let state = this.first;
    for (const to of way.slice(1)) {
      let taken: Step | null = null;
      all(state, (step) => {
        if (taken === null && encode(step.to) === keys.get(to)) taken = step;
      });
      const { what, fault, to: next } = taken!;
      lines.push(`${fault ? "*" : " "} ${what.padEnd(50)} ${describe(next)}`);
      state = next;
    }
    return lines.join("\n");
  }
}

/** All steps out of a state, to canonical ones. */
function all(state: State, emit: (step: Step) => void): void {
  const canonically = (step: Step) => emit({ ...step, to: canonical(step.to) });
  steps(copy(state), canonically);
  faults(copy(state), canonically);
}
