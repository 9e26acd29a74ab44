/** The memory store: the conformance suite, and the faults that simulations ask it for. */
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { MemoryCluster } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { storeConformance } from "./conformance.ts";
import type { Harness } from "./harness.ts";

function openMemory(): Promise<Harness> {
  const clock = systemClock();
  const cluster = new MemoryCluster(clock);
  const stores: Store[] = [];
  return Promise.resolve({
    clock,
    store(_hostIp, options) {
      const store = cluster.store({ random: systemRandom, ...options });
      stores.push(store);
      return Promise.resolve(store);
    },
    setConfig: (text) => Promise.resolve(cluster.setConfig(text)),
    raw: {
      get: (key) => Promise.resolve(cluster.get(key)),
      put: (key, value, ttlMs) => Promise.resolve(cluster.put(key, value, ttlMs ?? null)),
      delete: (key) => Promise.resolve(cluster.delete(key)),
      ttl: (key) => Promise.resolve(cluster.ttl(key)),
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store[Symbol.asyncDispose]();
    },
  });
}

storeConformance("memory", openMemory, { shortTtlMs: 200 });
