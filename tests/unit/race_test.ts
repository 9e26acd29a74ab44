/** Racing promises: who is first, and that nothing stays of a race for a promise that never settles. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { abortable } from "../../src/async/abortable.ts";
import { race } from "../../src/async/race.ts";
import { deadline, DeadlineExceeded } from "../../src/async/deadline.ts";
import { FakeClock, settle } from "../support/clock.ts";
import { growth } from "../support/heap.ts";

const never = new Promise<string>(() => {});

Deno.test("race: the first to settle decides, by its value or by what it throws", async () => {
  const late = Promise.withResolvers<string>();
  assertEquals(await race([never, Promise.resolve("first"), late.promise]), "first");
  await assertRejects(() => race([never, Promise.reject(new Error("no"))]), Error, "no");
  const waiting = race([never, late.promise]);
  late.resolve("late");
  assertEquals(await waiting, "late");
  assertEquals(await race([late.promise, never]), "late");
});

Deno.test("race: of several that have settled the first in the list counts", async () => {
  assertEquals(await race([Promise.resolve("a"), Promise.resolve("b")]), "a");
  const [a, b] = [Promise.resolve("a"), Promise.resolve("b")];
  await race([b, a]);
  assertEquals(await race([a, b]), "a");
});

Deno.test("race: what a loser throws later is nobody's error", async () => {
  const loser = Promise.withResolvers<string>();
  assertEquals(await race([loser.promise, Promise.resolve("won")]), "won");
  loser.reject(new Error("too late"));
  await settle();
});

Deno.test("race: a thousand who wait for one promise all hear of it", async () => {
  const common = Promise.withResolvers<string>();
  const all = Array.from({ length: 1_000 }, () => race([never, common.promise]));
  common.resolve("now");
  assertEquals(new Set(await Promise.all(all)), new Set(["now"]));
});

/** Each turn waits for the promise that never settles, and gives up. */
const waits: Readonly<Record<string, (turn: number) => Promise<unknown>>> = {
  "race": () => race([never, Promise.resolve("over")]),
  "within": () => {
    const clock = new FakeClock();
    const waiting = deadline(clock, 1_000, undefined, () => never).catch((error) => error);
    return clock.advance(1_000).then(() => waiting).then((error) =>
      assert(error instanceof DeadlineExceeded)
    );
  },
  "abortable": () => abortable(never, AbortSignal.abort("over")).catch(() => {}),
};
for (const [name, wait] of Object.entries(waits)) {
  Deno.test(`race: ${name} leaves nothing behind, however often it is tried`, async () => {
    const bytes = await growth(20_000, async (count) => {
      for (let turn = 0; turn < count; turn++) await wait(turn);
    });
    assert(bytes < 40, `${bytes} bytes stay of each`);
  });
}
