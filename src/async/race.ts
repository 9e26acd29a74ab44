/**
 * Waiting for the first of several promises, as `Promise.race` does, but for any number of times.
 *
 * `Promise.race` hangs something on every promise that it is given, and that stays until the promise settles: whoever waits
 * again and again for one that never does (a watch of a key that nobody changes) collects all his waits in memory. Here each
 * promise gets one listener, however often it is raced, and a race that is over takes itself off.
 *
 * Limit: what is raced often has to be the same promise each time, not a new `then` of it.
 */

interface Racer {
  readonly win: (promise: Promise<unknown>) => void;
}

/** Who waits for a promise; null once it has settled. */
type Waiting = Set<Racer> | null;

const waiting = new WeakMap<Promise<unknown>, { now: Waiting }>();

/** What the first to settle gives or throws; the others are not touched, and what they throw later is nobody's error. */
export async function race<T>(promises: readonly Promise<T>[]): Promise<T> {
  const first = Promise.withResolvers<T>();
  const racer: Racer = { win: (promise) => first.resolve(promise as Promise<T>) };
  const joined = promises.flatMap((promise) => join(promise, racer) ?? []);
  try {
    return await first.promise;
  } finally {
    for (const racers of joined) racers.delete(racer);
  }
}

/** Null where the promise has settled, which decides the race unless another has. */
function join(promise: Promise<unknown>, racer: Racer): Set<Racer> | null {
  const racers = (waiting.get(promise) ?? follow(promise)).now;
  if (racers === null) racer.win(promise);
  else racers.add(racer);
  return racers;
}

function follow(promise: Promise<unknown>): { now: Waiting } {
  const state: { now: Waiting } = { now: new Set() };
  const settled = () => {
    const racers = state.now;
    state.now = null;
    for (const racer of racers ?? []) racer.win(promise);
  };
  promise.then(settled, settled);
  waiting.set(promise, state);
  return state;
}
