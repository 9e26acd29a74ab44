/**
 * One link at a time to one of several etcd members.
 *
 * - A link that fails a call (no answer counts) is closed, its watches end with it, and the next endpoint is tried: each one
 *   once, not counting the link that was there before.
 * - A token that etcd no longer knows is such a failure too: the new link authenticates again.
 * - The first endpoint is drawn at random, so that a cluster's hosts spread over etcd's members.
 */
import type { Clock, Random } from "../../model/clock.ts";
import { Failure } from "../../model/errors.ts";
import { deadline, DeadlineExceeded } from "../../async/deadline.ts";
import type { Endpoint } from "./endpoints.ts";
import {
  ApiAbsent,
  ApiNotOffered,
  ApiNotReached,
  Denied,
  EndpointError,
  Http2Absent,
  nobodyThere,
  NOT_PERMITTED,
  NotPermitted,
} from "./errors.ts";
import type { TlsFiles } from "./tls.ts";
import { StoreUnavailable } from "../store.ts";

/** What is needed to reach etcd. */
export interface ConnectOptions {
  /** At least one. */
  readonly endpoints: readonly Endpoint[];
  readonly tls: TlsFiles;
  /** Empty: no authentication. */
  readonly username: string;
  readonly password: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** A connection to one member. */
export interface Connection {
  readonly endpoint: Endpoint;
  /** Aborted when the connection is closed. */
  readonly closed: AbortSignal;
  /**
   * Makes it ready for calls; once, before the first.
   *
   * @throws EndpointError, Denied
   */
  open(signal: AbortSignal): Promise<void>;
  /** Ends everything that still runs on it; resolves when the connection is gone. */
  close(): Promise<void>;
}

/** Milliseconds for one attempt of a small call: longer than an election, shorter than etcd's own limit. */
export const CALL_MS = 4_000;
/** The same for a list, which may have megabytes to carry. */
export const LIST_MS = 12_000;
/** Milliseconds for TCP and TLS to come up. */
export const CONNECT_MS = 3_000;

/** Milliseconds after which it is asked whether we may still read what is watched. */
export const ACCESS_MS = 8_000;

/** Milliseconds for a call with all its attempts. */
const OVERALL_MS = 15_000;

export class Failover<L extends Connection> {
  readonly #options: ConnectOptions;
  readonly #connect: (endpoint: Endpoint, options: ConnectOptions) => L;
  readonly #closed = new AbortController();
  #next: number;
  #current: Promise<L> | null = null;
  /** Links on their way out. */
  readonly #closing = new Set<Promise<void>>();

  constructor(options: ConnectOptions, connect: (endpoint: Endpoint, options: ConnectOptions) => L) {
    this.#options = options;
    this.#connect = connect;
    this.#next = options.random.int(options.endpoints.length);
  }

  /**
   * Does `work` on a link, on others where it fails.
   *
   * @param action for messages: `read "/coreos.com/network/config" in etcd`
   * @throws StoreUnavailable, Failure, the signal's reason, and what `work` throws beside EndpointError and Denied
   */
  async attempt<T>(
    action: string,
    signal: AbortSignal | undefined,
    work: (link: L, over: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const failures = new Failures();
    try {
      return await deadline(
        this.#options.clock,
        OVERALL_MS,
        signal,
        (over) => this.#rounds(work, failures, over),
      );
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      throw this.explain(action, thrown, failures);
    }
  }

  async #rounds<T>(
    work: (link: L, over: AbortSignal) => Promise<T>,
    failures: Failures,
    over: AbortSignal,
  ): Promise<T> {
    let left = this.#options.endpoints.length;
    let spare = 1;
    while (true) {
      const old = this.#current !== null;
      let link: L | null = null;
      try {
        link = await this.link();
        return await work(link, over);
      } catch (thrown) {
        if (over.aborted || !(thrown instanceof EndpointError)) throw thrown;
        if (link !== null) this.drop(link);
        failures.add(thrown);
        // An old connection says nothing about its endpoint, and a refusal deserves a second look.
        if (spare > 0 && (old || thrown.refused)) spare--;
        else left--;
        if (left === 0) throw thrown;
      }
    }
  }

  /**
   * The link in use, opened where there is none.
   *
   * @throws EndpointError, Denied
   */
  link(): Promise<L> {
    if (this.#closed.signal.aborted) return Promise.reject(this.#closed.signal.reason);
    return this.#current ??= this.#open();
  }

  async #open(): Promise<L> {
    const { endpoints } = this.#options;
    let link: L | null = null;
    try {
      link = this.#connect(endpoints[this.#next % endpoints.length]!, this.#options);
      await link.open(this.#closed.signal);
      return link;
    } catch (thrown) {
      await link?.close();
      this.#forget();
      throw thrown;
    }
  }

  #forget(): void {
    this.#current = null;
    this.#next++;
  }

  /** Closes a link that failed; the next call takes the next endpoint. */
  drop(link: L): void {
    if (link.closed.aborted) return;
    const closing = link.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    this.#forget();
  }

  /** What the store is to be told of `thrown`. */
  explain(action: string, thrown: unknown, failures = new Failures()): unknown {
    const { username, endpoints } = this.#options;
    if (thrown instanceof Denied) {
      const what = thrown.state.startsWith("user or") ? `authenticate to etcd as "${username}"` : action;
      const message = `${what}: ${thrown.state}; ${thrown.remedy}`;
      if (thrown instanceof ApiAbsent) return new ApiNotOffered(message);
      if (thrown.state === NOT_PERMITTED) return new NotPermitted(message);
      return thrown.transient ? new StoreUnavailable(message) : new Failure(message);
    }
    if (thrown instanceof EndpointError) failures.add(thrown);
    else if (!(thrown instanceof DeadlineExceeded)) return thrown;
    return failures.error(action, endpoints);
  }

  /** Resolves when every connection is gone. */
  async close(): Promise<void> {
    this.#closed.abort(new StoreUnavailable("the connection to etcd is closed"));
    await this.#current?.then((link) => link.close(), () => {});
    await Promise.all(this.#closing);
  }
}

/** Why each endpoint failed, as far as it was tried. */
class Failures {
  readonly #byEndpoint = new Map<string, EndpointError>();

  add(failure: EndpointError): void {
    this.#byEndpoint.set(failure.endpoint, failure);
  }

  /** Where all refuse us it is a Failure, otherwise trying again may do. */
  error(action: string, endpoints: readonly Endpoint[]): Error {
    const known = endpoints.flatMap(({ text }) => this.#byEndpoint.get(text) ?? []);
    const first = known[0];
    if (first === undefined) return new StoreUnavailable(`${action}: no answer; check etcd's log`);
    const states = Map.groupBy(known, ({ state }) => state);
    const text = [...states].map(([state, of]) =>
      `${of.map(({ endpoint }) => `"${endpoint}"`).join(", ")}: ${state}`
    );
    const remedies = new Set(known.map(({ remedy }) => remedy));
    const message = `connect to etcd ${text.join(", ")}; ${[...remedies].join("; ")}`;
    if (known.length < endpoints.length) return new StoreUnavailable(message);
    const old = known.filter((failure) => failure instanceof Http2Absent);
    if (old.length === known.length) return new ApiNotOffered(message);
    if (old.length > 0 && known.every((failure) => old.includes(failure) || nobodyThere(failure))) {
      return new ApiNotReached(message);
    }
    return known.every((failure) => failure.refused) ? new Failure(message) : new StoreUnavailable(message);
  }
}
