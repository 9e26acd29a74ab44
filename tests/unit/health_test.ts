/** The health endpoints: what they say, and that nothing a client does holds them up. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Failure } from "../../src/model/errors.ts";
import { parseIp } from "../../src/model/ip.ts";
import { type HealthReport, healthRoutes } from "../../src/observe/health.ts";
import { type HttpServer, serveHttp } from "../../src/observe/http.ts";
import { createLog } from "../../src/observe/writers.ts";
import { systemClock } from "../../src/system/clock.ts";

const clock = systemClock();
const log = createLog({ format: "text", verbosity: 0, write: () => {}, clock });
const loopback = parseIp("127.0.0.1")!;
const starting: HealthReport = { ready: false, reasons: ["no lease yet"], notes: [] };
const ready: HealthReport = { ready: true, reasons: [], notes: [] };

function serve(report: () => HealthReport, port = 0): HttpServer {
  return serveHttp({ address: loopback, port, routes: healthRoutes(report), clock, log });
}

/** Sends bytes and reads to the end. */
async function exchange(port: number, request: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const sending = connection.write(new TextEncoder().encode(request)).catch(() => {});
  let answer = "";
  const buffer = new Uint8Array(4096);
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    answer += new TextDecoder().decode(buffer.subarray(0, n));
  }
  await sending;
  return answer;
}

Deno.test("readiness in upstream's words, with reasons behind", () => {
  const say = (report: HealthReport) => healthRoutes(() => report).get("/readyz")!();
  assertEquals(say(ready), { status: 200, body: "flanneld is ready" });
  assertEquals(say(starting), { status: 503, body: "flanneld is not ready yet\nno lease yet" });
  assertEquals(say({ ...ready, notes: ["the store is out of reach:\nrefused"] }), {
    status: 200,
    body: "flanneld is ready\nnote: the store is out of reach: refused",
  });
});

Deno.test("the endpoints follow the report at every request", async () => {
  let report = starting;
  await using server = serve(() => report);
  const get = (path: string, method = "GET") =>
    fetch(`http://127.0.0.1:${server.port}${path}`, { method }).then(async (answer) => [
      answer.status,
      answer.headers.get("content-type"),
      (await answer.text()).split("\n")[0],
    ]);
  const type = "text/plain; charset=utf-8";
  assertEquals(await get("/healthz"), [200, type, "flanneld is running"]);
  assertEquals(await get("/readyz"), [503, type, "flanneld is not ready yet"]);
  report = ready;
  assertEquals(await get("/readyz?verbose=1"), [200, type, "flanneld is ready"]);
  report = { ready: false, reasons: ["our lease was lost"], notes: [] };
  assertEquals(await get("/readyz"), [503, type, "flanneld is not ready yet"]);
  assertEquals(await get("/"), [404, type, "404 page not found"]);
  assertEquals(await get("/healthz", "POST"), [405, type, "only GET and HEAD"]);
  assertEquals(await get("/healthz", "HEAD"), [200, type, ""]);
});

Deno.test("a request with a body gets its answer", async () => {
  await using server = serve(() => ready);
  const answer = await fetch(`http://127.0.0.1:${server.port}/healthz`, {
    method: "POST",
    body: "x".repeat(50_000),
  });
  assertEquals([answer.status, await answer.text()], [405, "only GET and HEAD"]);
});

Deno.test("nonsense and oversized requests are refused", async () => {
  await using server = serve(() => ready);
  for (
    const request of [
      "hello\r\n\r\n",
      "GET /healthz\r\n\r\n",
      "GET healthz HTTP/1.1\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\n",
    ]
  ) {
    assertStringIncludes(await exchange(server.port, request), "HTTP/1.1 400 ");
  }
  const huge = `GET /healthz HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
  assertStringIncludes(await exchange(server.port, huge), "HTTP/1.1 431 ");
  assertStringIncludes(await exchange(server.port, "GET /healthz HTTP/1.0\n\n"), "flanneld is running");
});

Deno.test("clients that send nothing or too slowly do not keep others out, and are cut off", async () => {
  // Their time is over when the test says so.
  const over = Promise.withResolvers<void>();
  const told = {
    ...clock,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        over.promise.then(resolve);
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  };
  await using server = serveHttp({
    address: loopback,
    port: 0,
    routes: healthRoutes(() => ready),
    clock: told,
    log,
  });
  const idle = await Promise.all(
    Array.from({ length: 100 }, () => Deno.connect({ hostname: "127.0.0.1", port: server.port })),
  );
  await idle[99]!.write(new TextEncoder().encode("GET /hea"));
  assertStringIncludes(await exchange(server.port, "GET /healthz HTTP/1.1\r\n\r\n"), "200 OK");
  over.resolve();
  for (const connection of idle) {
    const got = await connection.read(new Uint8Array(1)).catch(() => null);
    assertEquals(got, null);
    connection.close();
  }
});

Deno.test("the oldest of too many connections gives way", async () => {
  await using server = serve(() => ready);
  const start = clock.boot();
  const idle: Deno.Conn[] = [];
  for (let i = 0; i < 65; i++) idle.push(await Deno.connect({ hostname: "127.0.0.1", port: server.port }));
  assertEquals(await idle[0]!.read(new Uint8Array(1)), null);
  assert(clock.boot() - start < 4_000);
  for (const connection of idle) connection.close();
});

Deno.test("a client that still sends its body is not cut off before it has read the answer", async () => {
  await using server = serve(() => ready);
  using client = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const send = (text: string) => client.write(new TextEncoder().encode(text));
  await send("POST /healthz HTTP/1.1\r\n\r\n");
  // By the end of another exchange the server has answered this one.
  await exchange(server.port, "GET /healthz HTTP/1.1\r\n\r\n");
  for (let part = 0; part < 10; part++) await send("x".repeat(4096));
  const buffer = new Uint8Array(4096);
  const count = await client.read(buffer);
  assertStringIncludes(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), "HTTP/1.1 405 ");
});

Deno.test("closing takes no time, whoever is connected", async () => {
  const server = serve(() => ready);
  using _idle = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const start = clock.boot();
  await server[Symbol.asyncDispose]();
  assert(clock.boot() - start < 3_000);
});

Deno.test("a port that is taken is an error with a way out", async () => {
  await using server = serve(() => ready);
  const error = assertThrows(() => serve(() => ready, server.port), Failure);
  assertEquals(
    error.message,
    `listen on 127.0.0.1:${server.port}: address already in use; choose another -healthz-port, or stop what uses it`,
  );
});

Deno.test("an endpoint that fails is an error for that request only", async () => {
  let broken = true;
  await using server = serve(() => {
    if (broken) throw new Error("broken");
    return ready;
  });
  assertStringIncludes(await exchange(server.port, "GET /readyz HTTP/1.1\r\n\r\n"), "HTTP/1.1 500 ");
  broken = false;
  assertStringIncludes(await exchange(server.port, "GET /readyz HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 ");
});

Deno.test("notes from the store neither act on a terminal nor fill the answer", () => {
  const notes = ["\x1b[2J\u202egone", ...Array.from({ length: 200 }, () => "x".repeat(5000))];
  const { body } = healthRoutes(() => ({ ...ready, notes })).get("/readyz")!();
  assertEquals(body.split("\n")[1], "note: \\u001b[2J\\u202egone");
  assertEquals(body.split("\n").at(-1), "note: and 101 more notes");
  assert(body.length < 110_000);
});
