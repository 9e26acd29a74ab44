/** What never comes to an end, an answer or the wait for one, neither fills the memory nor hides what comes later. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Clock } from "../../src/model/clock.ts";
import { connectOptions } from "../../src/store/etcd/etcd_store.ts";
import { parseEndpoints } from "../../src/store/etcd/endpoints.ts";
import { EndpointError } from "../../src/store/etcd/errors.ts";
import { connectV2 } from "../../src/store/etcd/v2/client.ts";
import { V2Link } from "../../src/store/etcd/v2/link.ts";
import { systemClock } from "../../src/system/clock.ts";
import { growth } from "../support/heap.ts";
import { flags } from "./etcd3_harness.ts";

const HEAD = "HTTP/1.1 200 OK\r\nX-Etcd-Index: 1\r\nX-Etcd-Cluster-Id: c\r\n\r\n";

/** Answers one request with as much as anybody takes. */
async function pour(listener: Deno.Listener): Promise<void> {
  using connection = await listener.accept();
  await connection.read(new Uint8Array(4096));
  await connection.write(new TextEncoder().encode(HEAD));
  const blanks = new Uint8Array(1 << 16).fill(0x20);
  while (true) await connection.write(blanks);
}

Deno.test("etcd2: an answer without an end is an error of the endpoint", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const poured = pour(listener).catch(() => {});
  const link = new V2Link(parseEndpoints(url, false)[0]!, connectOptions(flags(url)));
  const signal = AbortSignal.timeout(60_000);
  const call = () => link.call({ method: "GET", path: "/v2/keys/x" }, 50_000, signal);
  await assertRejects(call, EndpointError, "an answer longer than 16 MiB");
  await link.close();
  await poured;
});

/** A clock on which the pauses between two signs of life, four seconds, are over at once; answers take their real time. */
class FastClock implements Clock {
  readonly #real = systemClock();
  #skipped = 0;
  wall = () => this.#real.wall();
  boot = () => this.#real.boot() + this.#skipped;

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms !== 4_000) return await this.#real.sleep(ms, signal);
    await this.#real.sleep(0, signal);
    this.#skipped += ms;
  }
}

Deno.test("etcd2: a poll of a key that nobody changes costs no memory, however long it lasts", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    return Response.json({ etcdserver: "3.4.23" });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const clock = new FastClock();
  const link = new V2Link(parseEndpoints(url, false)[0]!, connectOptions(flags(url, { clock })));
  const stop = new AbortController();
  await link.open(stop.signal);
  const ended = link.whileAlive(new Promise<string>(() => {}), Infinity, stop.signal).catch((error) => error);
  const start = clock.boot();
  const bytes = await growth(2_000, async (turns) => {
    for (const end = clock.boot() + turns * 4_000; clock.boot() < end;) await systemClock().sleep(20);
  });
  assert(clock.boot() - start > 2 * 3_600_000);
  assert(bytes < 400, `${bytes} bytes stay of each turn`);
  stop.abort("asked to stop");
  assertEquals(await ended, "asked to stop");
  await link.close();
});

/** A clock on which everything takes an eighth of its time. */
class QuickClock implements Clock {
  readonly #real = systemClock();
  wall = () => this.#real.wall();
  boot = () => this.#real.boot() * 8;
  sleep = (ms: number, signal?: AbortSignal) => this.#real.sleep(ms / 8, signal);
}

Deno.test("etcd2: a poll whose connection is dead is begun anew, while the member answers on others", async () => {
  const headers = { "X-Etcd-Index": "7", "X-Etcd-Cluster-Id": "c" };
  let polls = 0;
  let ended = 0;
  const silent = () => new ReadableStream({ cancel: () => void ended++ });
  const node = { key: "/n/subnets/10.1.1.0-24", value: "{}", createdIndex: 8, modifiedIndex: 8 };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    if (!url.includes("wait=true")) return Response.json({ etcdserver: "3.4.23" }, { headers });
    assert(url.includes("waitIndex=8"), url);
    return ++polls < 3
      ? new Response(silent(), { headers })
      : Response.json({ action: "set", node }, { headers });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const remote = connectV2(connectOptions(flags(url, { clock: new QuickClock() })));
  const range = { key: "/n/subnets/", end: "/n/subnets0" };
  for await (const { events } of remote.watch(range, 8, AbortSignal.timeout(30_000))) {
    if (events.length > 0) break;
  }
  assertEquals([polls, ended], [3, 2]);
  await remote.close();
});
