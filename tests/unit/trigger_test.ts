/** A doorbell: waits that a ring, the time or an abort ends. */
import { assertEquals } from "@std/assert";
import { Trigger } from "../../src/async/trigger.ts";
import { FakeClock, settle } from "../support/clock.ts";

const never = new AbortController().signal;

Deno.test("trigger: a ring ends the wait and leaves no sleeper", async () => {
  const [clock, trigger] = [new FakeClock(), new Trigger()];
  const waiting = trigger.waitFor(1_000, clock, never);
  await settle();
  trigger.ring();
  trigger.ring();
  assertEquals(await waiting, true);
  assertEquals([clock.boot(), clock.sleeping], [1_000_000, 0]);
  const next = trigger.waitFor(1_000, clock, never);
  await clock.advance(1_000);
  assertEquals(await next, false);
});

Deno.test("trigger: a ring between two waits is not lost", async () => {
  const [clock, trigger] = [new FakeClock(), new Trigger()];
  trigger.ring();
  assertEquals(await trigger.waitFor(1_000, clock, never), true);
});

Deno.test("trigger: an abort ends the wait", async () => {
  const [clock, trigger] = [new FakeClock(), new Trigger()];
  const abort = new AbortController();
  const waiting = trigger.waitFor(1_000, clock, abort.signal);
  await settle();
  abort.abort();
  assertEquals(await waiting, false);
  assertEquals(await trigger.waitFor(1_000, clock, abort.signal), false);
  assertEquals(clock.sleeping, 0);
});
