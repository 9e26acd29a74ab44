/** One of several processes on one SQLite store: takes a subnet for each host given, all at once, and prints their keys. */
import { openSqliteStore } from "../../src/store/rows/sqlite.ts";
import { literalConfigSource } from "../../src/store/config_source.ts";
import { systemClock } from "../../src/system/clock.ts";
import { systemRandom } from "../../src/system/random.ts";
import { claim, keyOf, soon } from "./harness.ts";

const [path = "", ...hosts] = Deno.args;
const keys = await Promise.all(hosts.map(async (host) => {
  await using store = await openSqliteStore({
    path,
    config: literalConfigSource("{}"),
    clock: systemClock(),
    random: systemRandom,
  });
  const lease = await store.acquire(claim(host), soon());
  return keyOf(lease);
}));
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(keys)));
