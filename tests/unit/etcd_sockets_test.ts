/** Connections to etcd that fail leave nothing behind: where it is away for long they are many. */
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { connect, createServer } from "node:net";
import { createSecureContext } from "node:tls";
import { parseEndpoints } from "../../src/store/etcd/endpoints.ts";
import { serverCertificates, Sockets } from "../../src/store/etcd/sockets.ts";
import { growth } from "../support/heap.ts";

/** Bytes that a failed attempt may seem to leave: code that was compiled meanwhile, and the like. */
const NOTHING = 1_500;
const ATTEMPTS = 300;
const HOST = "127.0.0.1";

/** One that nobody listens on. */
async function refusingPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, () => resolve()));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** By how many bytes each of these attempts makes the heap grow. */
function growthOf(attempt: () => Promise<void>): Promise<number> {
  return growth(ATTEMPTS, async (count) => {
    for (let i = 0; i < count; i++) await attempt();
  });
}

Deno.test("TLS to a port that nobody listens on leaves nothing in memory", async () => {
  const [port, context] = [await refusingPort(), createSecureContext()];
  const grown = await growthOf(async () => {
    const sockets = new Sockets(context, HOST);
    const socket = connect(port, HOST);
    sockets.keep(socket);
    await assertRejects(() => sockets.secure(socket, context, "http/1.1"), Error, "ECONNREFUSED");
    await sockets.close();
  });
  assertLess(grown, NOTHING);
});

Deno.test("the look at a server's certificates leaves nothing in memory where there is none", async () => {
  const [endpoint] = parseEndpoints(`https://${HOST}:${await refusingPort()}`, true);
  const grown = await growthOf(async () => {
    assertEquals(await serverCertificates(endpoint!, new AbortController().signal), []);
  });
  assertLess(grown, NOTHING);
});

Deno.test("closing ends a connection that has not come about yet, and the wait for its TLS", async () => {
  const context = createSecureContext();
  const sockets = new Sockets(context, HOST);
  const socket = connect(await refusingPort(), HOST);
  sockets.keep(socket);
  const secured = sockets.secure(socket, context, "h2");
  const closed = sockets.close();
  await assertRejects(() => secured, Error, "Connection dropped");
  await closed;
});
