/** How much memory lives: the heap after a collection, which the runtime otherwise does when it likes. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | null = null;

/** Bytes. */
export function liveHeap(): number {
  setFlagsFromString("--expose-gc");
  collect ??= runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) collect();
  return Deno.memoryUsage().heapUsed;
}

/** By how many bytes each of `count` turns makes the heap grow for good, after some turns to warm up. */
export async function growth(count: number, turns: (count: number) => Promise<void>): Promise<number> {
  await turns(Math.ceil(count / 10));
  const before = liveHeap();
  await turns(count);
  return (liveHeap() - before) / count;
}
