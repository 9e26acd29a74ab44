/** A SQLite store on a file system that is full: prints what a write there is refused with. */
import { literalConfigSource } from "../../src/store/config_source.ts";
import { openSqliteStore } from "../../src/store/rows/sqlite.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { claim, record, soon } from "./harness.ts";

const [path = ""] = Deno.args;
const config = literalConfigSource("{}");
await using store = await openSqliteStore({ path, config, clock: systemClock(), random: systemRandom });
const lease = await store.acquire(claim("192.168.0.1"), soon());
const filler = await Deno.open(`${path}-filler`, { create: true, write: true });
const block = new Uint8Array(4096);
while (await filler.write(block).then((n) => n === block.length, () => false));
let last = lease;
for (let n = 0;; n++) {
  try {
    const published = await store.publish(last, record("192.168.0.1", `02:00:00:00:00:${n % 90 + 10}`));
    if ("lost" in published) throw new Error("lost");
    last = published;
  } catch (error) {
    await Deno.stdout.write(new TextEncoder().encode(`${error}\n`));
    break;
  }
}
