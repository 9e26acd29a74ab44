/** A server that never comes to an end: what it says is given up before it fills the memory. */
import { assertRejects } from "@std/assert";
import { connectOptions } from "../../src/store/etcd_store.ts";
import { parseEndpoints } from "../../src/store/etcd_endpoints.ts";
import { EndpointError } from "../../src/store/etcd_errors.ts";
import { HttpLink } from "../../src/store/etcd2_link.ts";
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
  const link = new HttpLink(parseEndpoints(url, false)[0]!, connectOptions(flags(url)));
  const signal = AbortSignal.timeout(60_000);
  const call = () => link.call({ method: "GET", path: "/v2/keys/x" }, 50_000, signal);
  await assertRejects(call, EndpointError, "an answer longer than 16 MiB");
  await link.close();
  await poured;
});
