/** How long the next try waits: doubled each time up to a limit, a quarter more by chance, from the start after a success. */
import { assertEquals } from "@std/assert";
import { Backoff } from "../../src/async/backoff.ts";

Deno.test("back-off: doubles up to its limit, with up to a quarter of jitter, and begins again after a success", () => {
  const asked: number[] = [];
  const least = new Backoff(1_000, 30_000, { int: (below) => (asked.push(below), 0) });
  const waits = () => Array.from({ length: 7 }, () => least.next());
  assertEquals(waits(), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assertEquals(asked, [250, 500, 1_000, 2_000, 4_000, 7_500, 7_500]);
  least.reset();
  assertEquals(least.next(), 1_000);
});
