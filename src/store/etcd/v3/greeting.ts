/**
 * What answers at an endpoint that HTTP/2 could not be spoken to. A proxy or load balancer for HTTP/1.1 takes the greeting of
 * HTTP/2 for a bad request, and whether its answer or its closing of the connection is noticed first is chance; so it is
 * greeted once more, on a socket of its own, and its first bytes are looked at.
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import type { Endpoint } from "../endpoints.ts";
import { Sockets } from "../sockets.ts";

/** The client's connection preface with empty settings (RFC 9113 §3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
const HTTP1 = "HTTP/1.";

/** True where the server answers in HTTP/1.x; false for anything else, and where nothing comes before `over` is aborted. */
export async function speaksHttp1(
  endpoint: Endpoint,
  tls: Sockets["tls"],
  over: AbortSignal,
): Promise<boolean> {
  const sockets = new Sockets(tls, endpoint.host);
  const stop = () => void sockets.close();
  over.addEventListener("abort", stop, { once: true });
  try {
    const socket = connect(endpoint.address);
    sockets.keep(socket);
    socket.on("error", () => {});
    return (await answer(tls === null ? socket : await sockets.secure(socket, tls, "h2"))) === HTTP1;
  } catch {
    return false;
  } finally {
    over.removeEventListener("abort", stop);
    await sockets.close();
  }
}

/** The first bytes of an answer to the preface, fewer where the connection ends before. */
function answer(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (bytes) => {
      text = (text + bytes.toString("latin1")).slice(0, HTTP1.length);
      if (text.length === HTTP1.length) resolve(text);
    });
    for (const end of ["end", "close", "error"]) socket.on(end, () => resolve(text));
    socket.write(PREFACE, () => {});
  });
}
