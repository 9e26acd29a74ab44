/** Whose a lease is that was lost: with `onLost: "exit"` only another host's record ends the run. */
import { assertEquals, assertRejects } from "@std/assert";
import { LeaseKeeper } from "../../src/control/lease_keeper.ts";
import { LeaseLost } from "../../src/model/errors.ts";
import type { LeaseRecord } from "../../src/model/lease.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import type { Lost, Store } from "../../src/store/store.ts";
import { FakeClock, seededRandom } from "../support/clock.ts";
import { lease } from "../support/hosts.ts";

const own = lease("10.1.15.0/24", "192.168.64.11", "02:00:00:00:00:11");
const changed = lease("10.1.15.0/24", "192.168.64.11", "02:00:00:00:00:99");
const other = lease("10.1.15.0/24", "192.168.64.12", "02:00:00:00:00:12");

/** Publishes a change, which the store answers with `lost`; how often another lease was taken. */
async function publishing(lost: Lost): Promise<number> {
  const clock = new FakeClock();
  let taken = 0;
  const store = {
    publish: () => Promise.resolve(lost),
    renew: () => Promise.resolve(changed),
    acquire: () => (taken++, Promise.resolve(changed)),
  } as unknown as Store;
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  const keeper = new LeaseKeeper(own, {
    store,
    clock,
    random: seededRandom(1),
    log: quiet,
    marginMs: 1_000,
    onLost: "exit",
    config: () => parseNetworkConfig('{"Network": "10.1.0.0/16"}'),
    occupied: () => Promise.resolve([]),
    moved: () => {},
  });
  keeper.publish(changed.record as LeaseRecord);
  const stop = new AbortController();
  const running = keeper.run(stop.signal);
  running.catch(() => {});
  await clock.advance(5_000);
  stop.abort();
  await running;
  return taken;
}

Deno.test("keeper: what only we ourselves wrote meanwhile, or nobody has, is taken again", async () => {
  assertEquals(await publishing({ lost: "taken", by: own.record }), 1);
  assertEquals(await publishing({ lost: "absent" }), 1);
});

Deno.test("keeper: another host's record, or one that can't be read, ends the run where that is asked for", async () => {
  await assertRejects(() => publishing({ lost: "taken", by: other.record }), LeaseLost, "192.168.64.12");
  await assertRejects(() => publishing({ lost: "taken" }), LeaseLost, "another host");
});
