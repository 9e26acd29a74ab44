/** Who mirrors between etcd's two APIs: one at a time, and nobody whose place has run out. On an etcd in memory. */
import { assertEquals } from "@std/assert";
import { Election } from "../../src/store/etcd/both/election.ts";
import { FakeClock, seededRandom, settle } from "../support/clock.ts";
import { EtcdModel } from "../support/etcd_model.ts";

const KEY = "/n/bridge";

/** Candidates by number, those that serve now. */
async function stand(count: number) {
  const clock = new FakeClock();
  const model = new EtcdModel(clock);
  const stop = new AbortController();
  const serving = new Set<number>();
  const serve = (n: number) => (elected: AbortSignal) => {
    serving.add(n);
    return new Promise<void>((resolve) =>
      elected.addEventListener("abort", () => (serving.delete(n), resolve()), { once: true })
    );
  };
  const ended = Array.from({ length: count }, (_, n) => {
    const election = new Election({ remote: model.connect(), key: KEY, clock, random: seededRandom(n + 1) });
    return election.run(stop.signal, serve(n));
  });
  await settle();
  return {
    clock,
    model,
    serving,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await clock.advance(5_000);
      await Promise.all(ended);
    },
  };
}

Deno.test("election: one of several serves, for as long as it lives", async () => {
  await using place = await stand(3);
  await place.clock.advance(5_000);
  const [first] = place.serving;
  for (let i = 0; i < 20; i++) {
    await place.clock.advance(7_000);
    assertEquals([...place.serving], [first!]);
  }
});

Deno.test("election: whose lease is gone stops at its next sign of life, and another takes over", async () => {
  await using place = await stand(2);
  await place.clock.advance(5_000);
  const [first] = place.serving;
  place.model.revoke(place.model.keys.get(KEY)!.lease);
  await place.clock.advance(3_100);
  assertEquals(place.serving.has(first!), false, "within a beat of 3 s");
  await place.clock.advance(12_000);
  assertEquals(place.serving.size, 1);
});

Deno.test("election: who does not reach etcd stops two seconds before its place is anybody's", async () => {
  await using place = await stand(1);
  await place.clock.advance(5_000);
  assertEquals(place.serving.size, 1);
  const { lease } = place.model.keys.get(KEY)!;
  const left = place.model.leases.get(lease)!.ends - place.clock.boot();
  place.model.startOutage("no quorum");
  await place.clock.advance(left - 4_000);
  assertEquals(place.serving.size, 1, "it may pass");
  await place.clock.advance(2_100);
  assertEquals(place.serving.size, 0);
  place.model.endOutage();
  await place.clock.advance(30_000);
  assertEquals(place.serving.size, 1);
});
