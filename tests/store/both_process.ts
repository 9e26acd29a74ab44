/** A host with a store on both of etcd's APIs, in a process of its own that can be killed: `ENDPOINTS PREFIX`. */
import { openBothStore } from "../../src/store/etcd/both/both_store.ts";
import { flags } from "./etcd3_harness.ts";

const [endpoints, prefix] = Deno.args;
const store = await openBothStore(flags(endpoints!, { prefix: prefix! }));
for await (const event of store.watch(new AbortController().signal)) {
  await Deno.stdout.write(new TextEncoder().encode(`${event.type}\n`));
}
