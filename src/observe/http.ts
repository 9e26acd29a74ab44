/**
 * A very small HTTP server, for health probes and metrics.
 *
 * It answers GET and HEAD on fixed paths, one request a connection, and nothing that a client does can hold it up: a request has
 * 5 s and 8 KiB, at most 64 connections are open, of which the oldest gives way to a new one, and bodies are never read.
 * Bound to an address that others can reach, it tells them whether this host is ready, and no secrets.
 */
import { Failure, messageOf } from "../model/errors.ts";
import type { Clock } from "../model/clock.ts";
import { formatIp, type Ip } from "../model/ip.ts";
import { osErrorText } from "../system/os_error.ts";
import { answerBytes, type HttpAnswer, readRequest } from "./http_request.ts";
import type { Log } from "./log.ts";

export type { HttpAnswer };

export interface HttpOptions {
  readonly address: Ip;
  /** 0 for any free one. */
  readonly port: number;
  readonly routes: ReadonlyMap<string, () => HttpAnswer>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface HttpServer extends AsyncDisposable {
  /** The one that it listens on. */
  readonly port: number;
}

const maxConnections = 64;
/** Milliseconds for a whole connection. */
const connectionTime = 5_000;

/**
 * Starts listening. Disposing closes every connection.
 *
 * @throws Failure `listen on <address>:<port>: <state>; <way out>`
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const listener = listen(options.address, options.port);
  const connections = new Map<Deno.Conn, Promise<void>>();
  const stop = new AbortController();
  const accepting = accept(listener, connections, options, stop.signal);
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose](): Promise<void> {
      stop.abort();
      listener.close();
      for (const connection of connections.keys()) close(connection);
      await Promise.all([accepting, ...connections.values()]);
    },
  };
}

function listen(address: Ip, port: number): Deno.Listener {
  const hostname = formatIp(address);
  try {
    return Deno.listen({ hostname, port });
  } catch (thrown) {
    const where = address.family === 6 ? `[${hostname}]:${port}` : `${hostname}:${port}`;
    throw new Failure(`listen on ${where}: ${osErrorText(thrown)}; ${listenRemedy(thrown)}`);
  }
}

function listenRemedy(thrown: unknown): string {
  if (thrown instanceof Deno.errors.AddrInUse) return "choose another -healthz-port, or stop what uses it";
  if (thrown instanceof Deno.errors.AddrNotAvailable) return "give -healthz-ip an address of this host";
  return "choose another -healthz-port or -healthz-ip";
}

async function accept(
  listener: Deno.Listener,
  connections: Map<Deno.Conn, Promise<void>>,
  options: HttpOptions,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    try {
      const connection = await listener.accept();
      makeRoom(connections);
      const served = serve(connection, options).finally(() => connections.delete(connection));
      connections.set(connection, served);
    } catch (thrown) {
      if (stop.aborted) return;
      // Out of file descriptors, or a peer that went away already: neither ends the server.
      options.log.debug(`accept health probe: ${messageOf(thrown)}; listening on`);
      await options.clock.sleep(100, stop).catch(() => {});
    }
  }
}

function makeRoom(connections: ReadonlyMap<Deno.Conn, unknown>): void {
  const [oldest] = connections.keys();
  if (oldest !== undefined && connections.size >= maxConnections) close(oldest);
}

/** One request from its first byte to the end of the connection. Never rejects. */
async function serve(connection: Deno.Conn, options: HttpOptions): Promise<void> {
  const done = new AbortController();
  const timer = options.clock.sleep(connectionTime, done.signal).then(() => close(connection), () => {});
  try {
    const request = await readRequest(connection);
    if (request === null) return;
    const bytes = typeof request === "number"
      ? answerBytes({ status: request, body: "request not understood" }, "GET")
      : answerBytes(route(request.method, request.path, options), request.method);
    await writeAll(connection, bytes);
    await connection.closeWrite();
    await drain(connection);
  } catch {
    // The peer went away, or was too slow and was cut off: there is nobody to tell.
  } finally {
    close(connection);
    done.abort();
    await timer;
  }
}

function route(method: string, path: string, { routes, log }: HttpOptions): HttpAnswer {
  const handler = routes.get(path);
  if (handler === undefined) return { status: 404, body: "404 page not found" };
  if (method !== "GET" && method !== "HEAD") return { status: 405, body: "only GET and HEAD" };
  try {
    return handler();
  } catch (thrown) {
    log.error(`answer "${path}": ${messageOf(thrown)}; the probe gets an error`);
    return { status: 500, body: "internal error" };
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Reads what the peer still sends: closing over unread bytes would reset the connection before it has our answer. */
async function drain(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (let left = 64; left > 0 && await connection.read(buffer) !== null;) left--;
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed before.
  }
}
