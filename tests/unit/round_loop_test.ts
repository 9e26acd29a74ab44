/** When a part is looked at: at once, gathered, with pauses, and again. */
import { assertEquals } from "@std/assert";
import { type Reason, RoundLoop } from "../../src/control/round_loop.ts";
import { FakeClock, seededRandom } from "../support/clock.ts";

/** A loop whose rounds take as long as `takes` says and end as `ends` says. */
class Looked implements AsyncDisposable {
  readonly clock = new FakeClock();
  /** Why, and when, after the start. */
  readonly rounds: [why: Reason, ms: number][] = [];
  takes = 0;
  ends = true;
  readonly loop: RoundLoop;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor() {
    const { clock } = this;
    const began = clock.boot();
    this.loop = new RoundLoop({
      clock,
      random: seededRandom(1),
      settle: async (why) => {
        this.rounds.push([why, clock.boot() - began]);
        await clock.sleep(this.takes);
        return this.ends;
      },
    });
    this.#running = this.loop.run(this.#stop.signal).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

Deno.test("rounds: a lone change waits for nothing, the next a little, what is to read everything is gathered", async () => {
  await using looked = new Looked();
  const { clock, loop, rounds } = looked;
  loop.request("changes");
  await clock.advance(1_000);
  loop.request("changes");
  await clock.advance(1);
  loop.request("changes");
  await clock.advance(999);
  loop.request("all");
  loop.request("changes");
  await clock.advance(1_000);
  loop.request("changes", true);
  await clock.advance(1_000);
  assertEquals(rounds, [
    ["changes", 0],
    ["changes", 1_000],
    ["changes", 1_005],
    ["all", 2_005],
    ["changes", 3_005],
  ]);
});

Deno.test("rounds: a change does not wait as long as a round took that read everything; such a round does", async () => {
  await using looked = new Looked();
  const { clock, loop, rounds } = looked;
  looked.takes = 800;
  loop.request("all");
  await clock.advance(100);
  loop.request("changes");
  await clock.advance(2_000);
  assertEquals(rounds, [["all", 0], ["changes", 805]]);
  loop.request("all");
  await clock.advance(1_000);
  loop.request("period");
  await clock.advance(4_000);
  assertEquals(rounds.slice(2).map(([why]) => why), ["all", "period"]);
  assertEquals(rounds[3]![1] - rounds[2]![1], 1_600);
});

Deno.test("rounds: a storm of changes never takes more than half of the time, a machine that slept does not pause for days", async () => {
  await using looked = new Looked();
  const { clock, loop, rounds } = looked;
  loop.request("changes");
  await clock.advance(100);
  looked.takes = 40;
  for (let i = 0; i < 1_000; i++) {
    loop.request("changes");
    await clock.advance(1);
  }
  const count = rounds.length;
  assertEquals(count >= 10 && count <= 14, true, `${count} rounds in a second`);
  await clock.advance(1_000);
  looked.takes = 86_400_000;
  loop.request("changes");
  await clock.advance(86_400_000);
  looked.takes = 0;
  const before = rounds.length;
  loop.request("changes");
  await clock.advance(5_100);
  assertEquals(rounds.length, before + 1);
});

Deno.test("rounds: what failed is asked for again, less and less often, and everything is read for it", async () => {
  await using looked = new Looked();
  const { clock, loop, rounds } = looked;
  looked.ends = false;
  loop.request("changes");
  await clock.advance(60_000);
  const count = rounds.length;
  assertEquals(rounds.slice(1).every(([why]) => why === "all"), true);
  assertEquals(count >= 5 && count <= 8, true, `${count} rounds in a minute`);
  looked.ends = true;
  await clock.advance(60_000);
  const done = rounds.length;
  await clock.advance(600_000);
  assertEquals(rounds.length, done);
});
