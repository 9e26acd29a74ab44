/** Waiting for a wake-up or a deadline. */
import { assertEquals } from "@std/assert";
import { Waker } from "../../src/store/waker.ts";
import { FakeClock, settle } from "../support/clock.ts";

const never = new AbortController().signal;

Deno.test("waker: a wake-up ends the wait and leaves no sleeper", async () => {
  const [clock, waker] = [new FakeClock(), new Waker()];
  const waiting = waker.wait(1_000, clock, never);
  await settle();
  waker.wake();
  waker.wake();
  assertEquals(await waiting, true);
  assertEquals([clock.boot(), clock.sleeping], [1_000_000, 0]);
  const next = waker.wait(1_000, clock, never);
  await clock.advance(1_000);
  assertEquals(await next, false);
});

Deno.test("waker: a wake-up between two waits is not lost", async () => {
  const [clock, waker] = [new FakeClock(), new Waker()];
  waker.wake();
  assertEquals(await waker.wait(1_000, clock, never), true);
});

Deno.test("waker: an abort ends the wait", async () => {
  const [clock, waker] = [new FakeClock(), new Waker()];
  const abort = new AbortController();
  const waiting = waker.wait(1_000, clock, abort.signal);
  await settle();
  abort.abort();
  assertEquals(await waiting, false);
  assertEquals(await waker.wait(1_000, clock, abort.signal), false);
  assertEquals(clock.sleeping, 0);
});
