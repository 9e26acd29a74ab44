/**
 * One connection to one etcd member, over npm:etcd3's RPC clients.
 *
 * etcd3 brings the messages, their encoding and the typed calls. Its connection pool, watch manager and lease manager stay
 * unused: they retry on timers of their own, their watch hides compaction and dies for good when a token runs out, and a call
 * with such a token is repeated without a pause or an end. A link therefore has a pool of one host without any fault
 * handling, over one gRPC channel that is ours: nothing reconnects behind our back in a way that matters, a link that fails is
 * closed and a new one is opened.
 */
import { Buffer } from "node:buffer";
import {
  type CallOptions,
  Channel,
  type ChannelInterface,
  connectivityState,
  InterceptingCall,
  type Interceptor,
  logVerbosity,
  type Metadata,
  setLogVerbosity,
  status,
  type StatusObject,
} from "@grpc/grpc-js";
import { Etcd3, type IDuplexStream, type IOptions, type IWatchRequest, type IWatchResponse } from "etcd3";
import type { Clock } from "../../../model/clock.ts";
import { messageOf } from "../../../model/errors.ts";
import { deadline } from "../../../async/deadline.ts";
import type { Endpoint } from "../endpoints.ts";
import { LinkCredentials } from "./credentials.ts";
import { speaksHttp1 } from "./greeting.ts";
import { classify, type ConnectionFacts, EndpointError, Http2Absent } from "../errors.ts";
import { CONNECT_MS, type Connection, type ConnectOptions } from "../failover.ts";
import { type KeyRange, LONGEST_LIST } from "../reader.ts";
import { Sockets } from "../sockets.ts";
import { whyNot, wrongDates } from "../why.ts";

// What there is to say, our own log says.
setLogVerbosity(logVerbosity.NONE);

const CHANNEL_OPTIONS = {
  // A frozen member is noticed within 9 s. etcd ends connections that ping more often than every 5 s.
  "grpc.keepalive_time_ms": 6_000,
  "grpc.keepalive_timeout_ms": 3_000,
  // Ten thousand records are more than the 4 MiB that gRPC takes by default.
  "grpc.max_receive_message_length": LONGEST_LIST,
  // A link has its own connection, never one that an earlier link has left behind.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  // As upstream's client: no proxy of the environment in between, no configuration from DNS.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_channelz": 0,
  // When to try again is not the channel's to decide; this is only how long its timer outlives it.
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 50,
};

/** Milliseconds for a server to answer a greeting. */
const GREETING_MS = 1_000;

type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;
/** Each call once, as it is. */
const NO_POLICY = {
  execute: async (call: (context: { signal: AbortSignal }) => unknown) =>
    await call({ signal: new AbortController().signal }),
} as unknown as Policy;

export class Link implements Connection {
  readonly endpoint: Endpoint;
  readonly closed: AbortSignal;
  readonly #close = new AbortController();
  readonly #clock: Clock;
  readonly #etcd: Etcd3;
  readonly #channel: Channel;
  readonly #sockets: Sockets;
  readonly #options: ConnectOptions;
  #ready = false;
  #token: string | null = null;

  constructor(endpoint: Endpoint, options: ConnectOptions) {
    this.endpoint = endpoint;
    this.#options = options;
    this.closed = this.#close.signal;
    this.#clock = options.clock;
    this.#sockets = new Sockets(endpoint.tls ? options.tls.context() : null, endpoint.host);
    this.#channel = new Channel(endpoint.target, new LinkCredentials(this.#sockets), CHANNEL_OPTIONS);
    const grpcOptions = { channelFactoryOverride: () => unclosable(this.#channel) };
    this.#etcd = new Etcd3({
      hosts: endpoint.target,
      grpcOptions: grpcOptions as unknown as NonNullable<IOptions["grpcOptions"]>,
      faultHandling: { host: () => NO_POLICY, global: NO_POLICY },
    });
  }

  /**
   * Connects and, with a user, authenticates.
   *
   * @throws EndpointError, Denied
   */
  async open(signal: AbortSignal): Promise<void> {
    const { username, password } = this.#options;
    await deadline(this.#clock, CONNECT_MS, signal, () => this.#connected()).catch(async (thrown) => {
      const failure = this.#outcome(thrown, signal);
      if (!(failure instanceof EndpointError)) throw failure;
      throw await whyNot(failure, this.endpoint, this.#sockets, this.#options, signal);
    });
    if (!this.#ready) await this.#sayWhy(signal);
    if (username === "") return;
    try {
      const { token } = await this.call(
        (etcd, call) => etcd.auth.authenticate({ name: username, password }, call),
        CONNECT_MS,
        signal,
      );
      this.#token = token;
    } catch (thrown) {
      // Users are allowed to give a password that etcd does not ask for yet.
      if (!/authentication is not enabled/.test(messageOf(thrown))) throw thrown;
    }
  }

  /** Throws where we could not connect for what no error tells: dates of certificates, want of HTTP/2. */
  async #sayWhy(signal: AbortSignal): Promise<void> {
    const dates = await wrongDates(this.endpoint, this.#sockets, this.#options, signal);
    if (dates !== null) throw dates;
    const { tls } = this.#sockets;
    const greet = (over: AbortSignal) => speaksHttp1(this.endpoint, tls, over);
    const old = await deadline(this.#clock, GREETING_MS, signal, greet).catch(() => false);
    if (signal.aborted) throw signal.reason;
    if (old) throw new Http2Absent(this.endpoint.text);
  }

  /**
   * One remote call.
   *
   * @throws EndpointError, Denied, or the reason of `signal`
   */
  async call<T>(
    invoke: (etcd: Etcd3, options: CallOptions) => Promise<T>,
    ms: number,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      return await deadline(this.#clock, ms, signal, (over) => {
        const interceptors = [this.#interceptor(over)];
        return invoke(this.#etcd, { deadline: this.#clock.wall() + ms, interceptors });
      });
    } catch (thrown) {
      throw this.#outcome(thrown, signal);
    }
  }

  /**
   * The messages of a watch, as they come; ends by throwing. Reading slowly holds etcd back.
   *
   * @throws EndpointError, Denied, or the reason of `signal`
   */
  async *watch(range: KeyRange, fromRevision: number, signal: AbortSignal): AsyncGenerator<IWatchResponse> {
    const stop = AbortSignal.any([signal, this.closed]);
    const create_request = { ...bufferRange(range), start_revision: fromRevision, progress_notify: true };
    let stream: IDuplexStream<IWatchRequest, IWatchResponse> | null = null;
    try {
      stream = await this.#etcd.watchClient.watch({ interceptors: [this.#interceptor(stop, true)] });
      stream.write({ create_request });
      yield* stream as unknown as AsyncIterable<IWatchResponse>;
      throw new Error("Connection dropped");
    } catch (thrown) {
      throw this.#outcome(thrown, signal);
    } finally {
      stream?.cancel();
    }
  }

  /** Ends everything that still runs here; resolves when the connection is gone. */
  async close(): Promise<void> {
    if (this.closed.aborted) return;
    this.#close.abort(new Error("Connection dropped"));
    this.#etcd.close();
    // A channel that is closed in the round in which it was made resolves its address all the same, and lives on.
    await this.#clock.sleep(0);
    await this.#clock.sleep(0);
    this.#channel.close();
    await this.#sockets.close();
    // What grpc-js does at the end of a connection, it does in the next rounds of the event loop.
    await this.#clock.sleep(0);
    await this.#clock.sleep(0);
  }

  /** Resolves as soon as it is known whether the connection stands; if not, the next call says why. */
  #connected(): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const state = this.closed.aborted
          ? connectivityState.SHUTDOWN
          : this.#channel.getConnectivityState(true);
        this.#ready ||= state === connectivityState.READY;
        if (state !== connectivityState.IDLE && state !== connectivityState.CONNECTING) resolve();
        else this.#channel.watchConnectivityState(state, this.#clock.wall() + CONNECT_MS, () => look());
      };
      look();
    });
  }

  /** Adds our token to a call and cancels it on abort. */
  #interceptor(signal: AbortSignal, needsLeader = false): Interceptor {
    const prepare = (metadata: Metadata) => {
      if (this.#token !== null) metadata.set("token", this.#token);
      // A member that has lost its cluster then says so, instead of keeping silent.
      if (needsLeader) metadata.set("hasleader", "true");
      return metadata;
    };
    return (options, next) => {
      const call = new InterceptingCall(next(options), {
        start: (metadata, _, start) =>
          start(prepare(metadata), { onReceiveStatus: (status, next) => next(withoutRepetition(status)) }),
      });
      signal.addEventListener("abort", () => call.cancelWithStatus(status.CANCELLED, "aborted"), {
        once: true,
      });
      return call;
    };
  }

  #outcome(thrown: unknown, signal: AbortSignal): unknown {
    return signal.aborted ? signal.reason : this.classified(thrown);
  }

  /** What an error of this link's etcd means. */
  classified(thrown: unknown): Error {
    return classify(this.closed.aborted ? this.closed.reason : thrown, this.#facts());
  }

  #facts(): ConnectionFacts {
    const { text, tls, host } = this.endpoint;
    const { handshaken } = this.#sockets;
    const hasUser = this.#options.username !== "";
    return { endpoint: text, tls, host, handshaken, ready: this.#ready, hasUser };
  }
}

/** etcd3 knows by these words which call to do over and over again; ours, which `../errors.ts` knows as well, mean nothing to it. */
function withoutRepetition(status: StatusObject): StatusObject {
  return { ...status, details: status.details.replace("invalid auth token", "token not valid any more") };
}

/**
 * etcd3 closes the channel after some errors, with the watch on it; when it is closed is for the link to say. Where it is just
 * connecting, etcd3 waits for it and so wakes it up again after its end: it never learns that.
 */
function unclosable(channel: Channel): ChannelInterface {
  return {
    close: () => {},
    getTarget: () => channel.getTarget(),
    getConnectivityState: () => connectivityState.IDLE,
    watchConnectivityState: (state, deadline, then) => channel.watchConnectivityState(state, deadline, then),
    getChannelzRef: () => channel.getChannelzRef(),
    createCall: (method, deadline, host, parent, flags) =>
      channel.createCall(method, deadline, host, parent, flags),
  };
}

export function bufferRange({ key, end }: KeyRange): { key: Buffer; range_end?: Buffer } {
  return { key: Buffer.from(key), ...(end !== null && { range_end: Buffer.from(end) }) };
}
