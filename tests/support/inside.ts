/**
 * Acting in another network namespace from within the test process: sockets that are opened there stay there.
 *
 * `setns` moves the calling thread alone, so only what is synchronous happens inside; the thread is back before `inside` returns.
 */
import { closeSync, openSync } from "node:fs";

const CLONE_NEWNET = 0x40000000;

/** Runs `act` in the network namespace of the process `pid`. */
export function inside<T>(pid: number, act: () => T): T {
  const libc = Deno.dlopen("libc.so.6", { setns: { parameters: ["i32", "i32"], result: "i32" } });
  const home = openSync("/proc/thread-self/ns/net", "r");
  const there = openSync(`/proc/${pid}/ns/net`, "r");
  const enter = (namespace: number) => {
    if (libc.symbols.setns(namespace, CLONE_NEWNET) !== 0) {
      throw new Error("enter a network namespace: refused");
    }
  };
  try {
    enter(there);
    try {
      return act();
    } finally {
      enter(home);
    }
  } finally {
    closeSync(there);
    closeSync(home);
    libc.close();
  }
}
