/** What is remembered from round to round, and what must not be. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { remembered } from "../../src/model/memo.ts";
import { Trigger } from "../../src/async/trigger.ts";

Deno.test("memo: an object is asked about once, until the scope is another", () => {
  let asked = 0;
  const length = remembered((key: { text: string }, more: { add: number }, _other: string) => {
    asked++;
    return key.text.length + more.add;
  });
  const [a, b] = [{ text: "abc" }, { text: "abcd" }];
  const scope = { add: 1 };
  assertEquals([length(a, scope, "x"), length(a, scope, "x"), length(b, scope, "x")], [4, 4, 5]);
  assertEquals(asked, 2);
  assertEquals([length(a, { add: 2 }, "x"), length(a, scope, "x"), length(a, scope, "y")], [5, 4, 4]);
  assertEquals(asked, 5);
});

Deno.test("memo: null and undefined are answers too", () => {
  let asked = 0;
  const nothing = remembered((_key: object) => {
    asked++;
    return undefined;
  });
  const key = {};
  assertStrictEquals(nothing(key), undefined);
  assertStrictEquals(nothing(key), undefined);
  assertEquals(asked, 1);
});

Deno.test("trigger: a ring that was seen to wakes nobody", async () => {
  const trigger = new Trigger();
  const stop = new AbortController();
  trigger.ring();
  await trigger.wait(stop.signal);
  trigger.ring();
  trigger.still();
  let woken = false;
  const waiting = trigger.wait(stop.signal).then(() => woken = true, () => {});
  await Promise.resolve();
  assertEquals(woken, false);
  stop.abort();
  await waiting;
});
