/** The product with one line broken in a way that only rare circumstances show: the simulation must find it. */
import type { runSchedule } from "../support/simulation/schedule.ts";
import { plant } from "../support/mutant.ts";

const PARTS = ["deno.json", "deno.lock", "src", "ffi", "tests"];
/** Most schedules that it may take. */
const MOST = 3_000;

const mutations = [
  {
    name: "things are deleted before a whole list was read",
    file: "src/control/reconciler.ts",
    find: "mayDelete: (o) => wanted.inSync && !shielded(o)",
    replace: "mayDelete: (o) => !shielded(o)",
  },
  {
    name: "what is not ours is changed where it is in the way",
    file: "src/control/diff.ts",
    find: 'if (before.standing === "foreign") return { object, by: before };',
    replace: "",
  },
  {
    name: "writes of a changed record are not conditional",
    file: "src/store/etcd3_table.ts",
    find: "const expect = parseVersion(lease.version).modRevision;",
    replace: "const expect = (await this.#remote.range({ key, end: null })).kvs[0]?.modRevision ?? 0;",
  },
  {
    name: "a lost lease is not noticed",
    file: "src/control/lease_keeper.ts",
    find: "if (isLost(result)) return this.#losing(result);",
    replace: "if (isLost(result)) return;",
  },
  {
    name: "a machine that slept in the middle of a round pauses as long",
    file: "src/control/reconciler.ts",
    find: "return Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, ms));",
    replace: "return Math.max(PAUSE_MS, ms);",
  },
  {
    name: "the older of two claims does not count",
    file: "src/control/lease_view.ts",
    find: "this.#rank(a) - this.#rank(b) || one.created - other.created",
    replace: "this.#rank(a) - this.#rank(b) || other.created - one.created",
  },
  {
    name: "a compacted watch goes on as if nothing were",
    file: "src/store/etcd_follow.ts",
    find: "if (!(thrown instanceof HistoryLost)) throw thrown;",
    replace: "throw thrown;",
  },
];

for (const mutation of mutations) {
  Deno.test(`mutation: ${mutation.name}: the simulation finds it`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "denim-mutant-" });
    try {
      await plant(directory, mutation, PARTS);
      const mutant: { runSchedule: typeof runSchedule } = await import(
        `${directory}/tests/support/simulation/schedule.ts`
      );
      for (let seed = 1; (await mutant.runSchedule(seed)).failure === null; seed++) {
        if (seed === MOST) throw new Error(`${MOST} schedules do not see the damage`);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
