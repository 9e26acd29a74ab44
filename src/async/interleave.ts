/** Two endless iterables as one, in the order in which their items come. */

/**
 * Ends when both have ended; throws what either throws. Items wait in memory until they are read.
 *
 * @returns which of the two, and its item
 */
export async function* interleave<T>(
  first: AsyncIterable<T>,
  second: AsyncIterable<T>,
): AsyncGenerator<readonly [from: 0 | 1, item: T]> {
  const queue: (readonly [0 | 1, T])[] = [];
  let arrived = Promise.withResolvers<void>();
  let open = 2;
  let failure: { readonly thrown: unknown } | null = null;
  const pump = async (from: 0 | 1, source: AsyncIterable<T>) => {
    try {
      for await (const item of source) {
        queue.push([from, item]);
        arrived.resolve();
      }
    } catch (thrown) {
      failure ??= { thrown };
    } finally {
      open--;
      arrived.resolve();
    }
  };
  void pump(0, first);
  void pump(1, second);
  while (true) {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield next;
    if (failure !== null) throw (failure as { readonly thrown: unknown }).thrown;
    if (open === 0) return;
    await arrived.promise;
    arrived = Promise.withResolvers();
  }
}
