/**
 * One connection to one etcd member's v2 API: HTTP/1.1 over our own sockets.
 *
 * `node:http` and not `fetch`: that trusts the system's authorities beside the given one, obeys proxies of the environment and
 * refuses some ports.
 * - Sockets are kept between calls; closing the link ends them, and whatever waits on them.
 * - A member that falls silent while we wait for a change is asked for a sign of life every few seconds, and whether it still
 *   has a leader: a watch on a member that lost its cluster would be silent for ever.
 */
import { Agent, type IncomingMessage, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Instant } from "../../../model/clock.ts";
import { deadline, DeadlineExceeded } from "../../../async/deadline.ts";
import type { Endpoint } from "../endpoints.ts";
import { classify, Denied, EndpointError } from "../errors.ts";
import { ACCESS_MS, CONNECT_MS, type Connection, type ConnectOptions } from "../failover.ts";
import { HistoryLost } from "../reader.ts";
import { Sockets } from "../sockets.ts";
import { whyNot } from "../why.ts";
import { type Answer, type AnswerHead, type AnswerSource, headOf, V2Error } from "./answers.ts";

export interface HttpRequest {
  readonly method: "GET" | "PUT" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly form?: URLSearchParams;
  /** Characters that its answer may have; 16 Mi unless told, far more than etcd takes for one key. */
  readonly longest?: number;
}

/** Milliseconds without a word after which a member is asked for a sign of life; and that it may take to give it. */
const PING_MS = 4_000;
const PONG_MS = 2_000;
/**
 * Milliseconds between two looks whether our password still counts. etcd computes a bcrypt hash each time, some 60 ms of a
 * processor, so that this is rarer than `ACCESS_MS`.
 */
const PASSWORD_MS = 60_000;
/** Milliseconds between two looks whether the member has a leader. */
const LEADER_MS = 8_000;

export const VERSION: HttpRequest = { method: "GET", path: "/version" };
/** The member answers it by itself. `/health`, which looks better, costs the cluster a write of its log each time. */
const LEADER: HttpRequest = { method: "GET", path: "/v2/members/leader" };

export class V2Link implements Connection {
  readonly endpoint: Endpoint;
  readonly closed: AbortSignal;
  readonly #close = new AbortController();
  readonly #options: ConnectOptions;
  readonly #sockets: Sockets;
  readonly #agent: Agent;
  /** When the member last answered; null before it ever did. */
  #heard: Instant | null = null;
  /** When it was last asked whether we may read. */
  #accessed: Instant;
  /** When it was last asked for its leader. */
  #led: Instant = 0;

  constructor(endpoint: Endpoint, options: ConnectOptions) {
    this.endpoint = endpoint;
    this.#options = options;
    this.closed = this.#close.signal;
    this.#accessed = options.clock.boot();
    this.#sockets = new Sockets(endpoint.tls ? options.tls.context() : null, endpoint.host);
    this.#agent = new LinkAgent(endpoint, this.#sockets);
  }

  /** Connects, so that calls which meet on a new link hear of the same failure. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      await this.call(VERSION, CONNECT_MS, signal);
    } catch (thrown) {
      if (!(thrown instanceof EndpointError)) throw thrown;
      throw await whyNot(thrown, this.endpoint, this.#sockets, this.#options, signal);
    }
    await this.#requireLeader(signal);
  }

  get source(): AnswerSource {
    return { endpoint: this.endpoint.text, hasUser: this.#options.username !== "" };
  }

  /**
   * A request and its whole answer.
   *
   * @throws EndpointError, Denied, or the reason of `signal`
   */
  async call(request: HttpRequest, ms: number, signal: AbortSignal): Promise<Answer> {
    return await this.#explained(signal, () =>
      deadline(this.#options.clock, ms, signal, async (over) => {
        const begun = await this.#send(request, over);
        return { head: begun.head, text: await begun.text };
      }));
  }

  /** A request whose answer begins within `ms` milliseconds and ends when it ends. Rejects as `call` does. */
  async begin(request: HttpRequest, ms: number, signal: AbortSignal): Promise<Begun> {
    return await this.#explained(
      signal,
      () => deadline(this.#options.clock, ms, signal, () => this.#send(request, signal)),
    );
  }

  /**
   * Waits for `work` for as long as the member lives and `access`, which is asked now and then, lets us, and for `ms` milliseconds
   * at most: null then. Rejects as `call` does, and with what `access` throws.
   */
  async whileAlive<T>(
    work: Promise<T>,
    ms: number,
    signal: AbortSignal,
    access: () => Promise<void> = () => Promise.resolve(),
  ): Promise<T | null> {
    work.catch(() => {});
    const { clock } = this.#options;
    const end = clock.boot() + ms;
    return await this.#explained(signal, async () => {
      while (true) {
        try {
          return await deadline(clock, PING_MS, signal, () => work);
        } catch (thrown) {
          if (!(thrown instanceof DeadlineExceeded)) throw thrown;
          if (clock.boot() >= end) return null;
          if (this.#accessDue()) await access();
          await this.#ping(signal);
        }
      }
    });
  }

  /** What an error of this link means. */
  classified(thrown: unknown): Error {
    if (thrown instanceof EndpointError || thrown instanceof Denied) return thrown;
    if (thrown instanceof HistoryLost || thrown instanceof V2Error) return thrown;
    const { text, tls, host } = this.endpoint;
    const hasUser = this.#options.username !== "";
    const ready = this.#heard !== null;
    const facts = { endpoint: text, tls, host, handshaken: this.#sockets.handshaken, ready, hasUser };
    return classify(this.closed.aborted ? this.closed.reason : thrown, facts);
  }

  async close(): Promise<void> {
    if (this.closed.aborted) return;
    this.#close.abort(new Error("Connection dropped"));
    this.#agent.destroy();
    await this.#sockets.close();
  }

  /** Once for all who wait on this link. */
  #accessDue(): boolean {
    const now = this.#options.clock.boot();
    const every = this.#options.username === "" ? ACCESS_MS : PASSWORD_MS;
    if (now - this.#accessed < every) return false;
    this.#accessed = now;
    return true;
  }

  async #ping(signal: AbortSignal): Promise<void> {
    const now = this.#options.clock.boot();
    if (this.#heard === null || now - this.#heard >= PING_MS) await this.call(VERSION, PONG_MS, signal);
    if (now - this.#led >= LEADER_MS) await this.#requireLeader(signal);
  }

  /** A member without a leader answers, and takes watches on which nothing ever comes. */
  async #requireLeader(signal: AbortSignal): Promise<void> {
    this.#led = this.#options.clock.boot();
    if ((await this.call(LEADER, PONG_MS, signal)).head.status < 500) return;
    throw new EndpointError(this.endpoint.text, "the member has lost its cluster", "check etcd's log", false);
  }

  async #explained<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw signal.aborted ? signal.reason : this.classified(thrown);
    }
  }

  #send({ method, path, form, longest = 1 << 24 }: HttpRequest, over: AbortSignal): Promise<Begun> {
    const { username, password } = this.#options;
    const { host } = this.endpoint;
    const body = form?.toString();
    const headers = {
      host: host.includes(":") ? `[${host}]` : host,
      ...(username !== "" && { authorization: basic(username, password) }),
      ...(body !== undefined && {
        "content-type": "application/x-www-form-urlencoded",
        "content-length": String(new TextEncoder().encode(body).length),
      }),
    };
    return new Promise((resolve, reject) => {
      over.throwIfAborted();
      const outgoing = httpRequest({ agent: this.#agent, method, path, headers });
      const stop = () => outgoing.destroy(new Error("no answer"));
      over.addEventListener("abort", stop, { once: true });
      const done = () => over.removeEventListener("abort", stop);
      outgoing.on("error", (error) => {
        done();
        reject(error);
      });
      // What ends a socket right after its handshake comes as an end without an error.
      outgoing.on("close", () => {
        if (!begun) done();
        reject(new Error("Connection dropped"));
      });
      let begun = false;
      outgoing.on("response", (incoming) => {
        begun = true;
        this.#heard = this.#options.clock.boot();
        const text = readAll(incoming, longest).finally(done);
        // Whoever only wants the head leaves it.
        text.catch(() => {});
        resolve({ head: headOf(incoming, this.#heard), text, end: () => void outgoing.destroy() });
      });
      outgoing.end(body);
    });
  }
}

/** An answer that has begun. */
export interface Begun {
  readonly head: AnswerHead;
  /** The rest, when it has come. */
  readonly text: Promise<string>;
  /** Nobody waits for the rest any more. */
  end(): void;
}

class LinkAgent extends Agent {
  readonly #endpoint: Endpoint;
  readonly #sockets: Sockets;

  constructor(endpoint: Endpoint, sockets: Sockets) {
    super({ keepAlive: true });
    this.#endpoint = endpoint;
    this.#sockets = sockets;
  }

  override createConnection(
    _options: unknown,
    done?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const { tls } = this.#sockets;
    const socket: Socket = connect(this.#endpoint.address);
    this.#sockets.keep(socket);
    if (tls === null) return socket;
    socket.once("error", (error) => done?.(error, socket));
    this.#sockets.secure(socket, tls, "http/1.1").then(
      (secured) => done?.(null, secured),
      (error) => done?.(error, socket),
    );
    return undefined;
  }
}

/** An answer that has no end must not take all memory with it. */
async function readAll(incoming: IncomingMessage, longest: number): Promise<string> {
  incoming.setEncoding("utf8");
  let text = "";
  for await (const chunk of incoming) {
    text += chunk;
    if (text.length > longest) throw new Error(`an answer longer than ${longest >> 20} MiB`);
  }
  return text;
}

function basic(username: string, password: string): string {
  return `Basic ${new TextEncoder().encode(`${username}:${password}`).toBase64()}`;
}
