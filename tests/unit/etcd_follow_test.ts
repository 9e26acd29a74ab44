/** Following keys in etcd through a watch that is late, or leaves something out while all else goes on. */
import { assertEquals } from "@std/assert";
import { follow } from "../../src/store/etcd/follow.ts";
import type { EtcdReader, WatchBatch } from "../../src/store/etcd/reader.ts";
import type { KeyValue } from "../../src/store/etcd/v3/remote.ts";
import { FakeClock, seededRandom } from "../support/clock.ts";
import { EtcdModel } from "../support/etcd_model.ts";

const MINUTE = 60_000;
const range = { key: "/k/", end: "/k0" };

/** Somebody follows keys of which one changes every 100 ms; each change is told `lateMs` after it happened. */
class Busy implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly model = new EtcdModel(this.clock);
  readonly snapshots: { restored: boolean; keys: number }[] = [];
  readonly #stop = new AbortController();
  readonly #tasks: Promise<unknown>[];

  /** @param gapMs between two batches, for half a minute after a watch begins: etcd and we are busy then */
  constructor(readonly lateMs: number, readonly gapMs = 0) {
    const remote = this.model.connect();
    const late: EtcdReader<KeyValue> = {
      endpoints: remote.endpoints,
      close: () => remote.close(),
      range: (request, signal) => remote.range(request, signal),
      watch: (keys, from, signal) => this.#late(remote.watch(keys, from, signal), signal),
    };
    this.#tasks = [this.#change(), this.#follow(late)];
  }

  async *#late(batches: AsyncIterable<WatchBatch<KeyValue>>, signal: AbortSignal) {
    const told: { batch: WatchBatch<KeyValue>; due: number }[] = [];
    let failure: unknown = null;
    const read = async () => {
      for await (const batch of batches) told.push({ batch, due: this.clock.boot() + this.lateMs });
    };
    read().catch((thrown) => failure = thrown);
    const busyUntil = this.clock.boot() + MINUTE / 2;
    for (;;) {
      if (this.gapMs > 0 && this.clock.boot() < busyUntil) await this.clock.sleep(this.gapMs, signal);
      const next = told.shift();
      if (next === undefined && failure !== null) throw failure;
      await this.clock.sleep(next === undefined ? 10 : Math.max(0, next.due - this.clock.boot()), signal);
      if (next !== undefined) yield next.batch;
    }
  }

  async #change(): Promise<void> {
    for (let i = 0; !this.#stop.signal.aborted; i++) {
      this.model.put(`/k/${i % 50}`, String(i));
      if (i % 7 === 0) this.model.delete(`/k/${(i + 25) % 50}`);
      await this.clock.sleep(100, this.#stop.signal).catch(() => {});
    }
  }

  async #follow(remote: EtcdReader<KeyValue>): Promise<void> {
    const deps = { remote, clock: this.clock, random: seededRandom(1) };
    for await (const followed of follow(deps, range, this.#stop.signal)) {
      if (followed.type !== "snapshot") continue;
      this.snapshots.push({ restored: followed.restored, keys: followed.kvs.length });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.clock.advance(1_000);
    await Promise.all(this.#tasks);
  }
}

Deno.test("follow: a watch that is late all the time is believed", async () => {
  for (const late of [50, 700, 3_000]) {
    await using busy = new Busy(late);
    for (let minutes = 0; minutes < 12; minutes++) {
      await busy.clock.advance(MINUTE);
      busy.model.breakWatches();
    }
    assertEquals(busy.snapshots.length, 1, `${late} ms late`);
  }
});

Deno.test("follow: a watch that takes seconds for each answer for a while, as on a loaded machine, is believed", async () => {
  await using busy = new Busy(50, 4_000);
  for (let minutes = 0; minutes < 12; minutes++) {
    await busy.clock.advance(MINUTE);
    busy.model.breakWatches();
  }
  assertEquals(busy.snapshots.length, 1);
});

Deno.test("follow: whoever was stopped for a while does not call the watch silent", async () => {
  // When it is stopped, our next look is due before the watch's next word.
  await using busy = new Busy(50, 4_000);
  for (let stops = 0; stops < 12; stops++) {
    busy.model.breakWatches();
    await busy.clock.advance(5_000);
    busy.clock.skip(MINUTE / 2);
    await busy.clock.advance(MINUTE);
  }
  assertEquals(busy.snapshots.length, 1);
});

Deno.test("follow: a change that was left out is found out although others go on", async () => {
  await using busy = new Busy(300);
  await busy.clock.advance(1_000);
  busy.model.put("/k/rare", "1");
  await busy.clock.advance(1_000);
  busy.model.dropEvents = 1;
  busy.model.delete("/k/rare");
  await busy.clock.advance(11 * MINUTE);
  assertEquals(busy.snapshots.map(({ restored }) => restored), [false, true]);
});
