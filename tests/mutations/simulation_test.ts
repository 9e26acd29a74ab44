/** The product with one line broken in a way that only rare circumstances show: the simulation must find it. */
import { assertMatch } from "@std/assert";
import { plant } from "../support/mutant.ts";
import { output } from "../support/process.ts";

const PARTS = ["deno.json", "deno.lock", "src", "ffi", "tests", "tasks"];
const SCHEDULES = 2_000;

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
    name: "an unreadable record protects nothing",
    file: "src/control/lease_view.ts",
    find: "if (lastGood) this.#leases.set(key, lastGood);",
    replace: "",
  },
  {
    name: "writes of a changed record are not conditional",
    file: "src/store/etcd3_table.ts",
    find: "const write = { key, value: encodeRecord(record), expect: seen.modRevision };",
    replace:
      "const now = (await this.#remote.range({ key, end: null })).kvs[0]; const write = { key, value: encodeRecord(record), expect: now?.modRevision ?? 0 };",
  },
  {
    name: "a failure is not tried again",
    file: "src/control/reconciler.ts",
    find: "this.#retrying.delete(part);",
    replace: "return;",
  },
  {
    name: "a loss that a reply tells of is forgotten",
    file: "src/control/lease_keeper.ts",
    find: "if (isLost(result)) return this.#losing(result);",
    replace: "if (isLost(result)) return;",
  },
  {
    name: "a peer's own claim to our address is believed",
    file: "src/control/peers.ts",
    find: "const what = sameIp(publicIp, hostPublicIp(self, family))",
    replace: "const what = sameIp(publicIp, null)",
  },
  {
    name: "a compacted watch goes on as if nothing were",
    file: "src/store/etcd_follow.ts",
    find: "this.#at = null;\n    this.#suspect = false;",
    replace: "this.#suspect = false;",
  },
];

for (const mutation of mutations) {
  Deno.test(`mutation: ${mutation.name}: the simulation finds it`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "denim-mutant-" });
    try {
      await plant(directory, mutation, PARTS);
      const task = [`${directory}/tasks/simulate.ts`, `--schedules=${SCHEDULES}`, "--jobs=2"];
      const { stdout, stderr } = await output([Deno.execPath(), "run", "-A", "--no-check", ...task], {
        deadline: 5 * 60_000,
      });
      assertMatch(stdout, /^seed \d+ failed: /m, stderr);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
