/**
 * `V2Remote` over the network: requests to etcd's v2 API, and what its answers mean. Which member is asked, and what
 * happens when it does not answer, is `../failover.ts`.
 */
import type { Clock } from "../../../model/clock.ts";
import { describeEndpoints } from "../endpoints.ts";
import { CALL_MS, type ConnectOptions, Failover, LIST_MS } from "../failover.ts";
import {
  HistoryLost,
  type KeyRange,
  LONGEST_LIST,
  type RangeRequest,
  type RangeResponse,
  type ResponseHeader,
  type WatchBatch,
} from "../reader.ts";
import {
  type Answer,
  type AnswerHead,
  changeOf,
  CODES,
  contentOf,
  nodeOf,
  nodesOf,
  understood,
  V2Error,
} from "./answers.ts";
import { type HttpRequest, V2Link, VERSION } from "./link.ts";
import type { V2Node, V2Remote, V2Write, V2Written } from "./remote.ts";

/** Connects with the first call, so that it does not matter whether etcd runs yet. */
export function connectV2(options: ConnectOptions): V2Remote {
  return new Etcd2Client(options);
}

/**
 * Milliseconds that we wait for a change on one connection: signs of life come on others, and one that a router has forgotten, or
 * whose own address is gone from this host, would be silent for ever.
 */
const POLL_MS = 20_000;
/** Milliseconds between two watches where the first ended without a word. */
const PAUSE_MS = 100;

class Etcd2Client implements V2Remote {
  readonly endpoints: string;
  readonly #clock: Clock;
  readonly #failover: Failover<V2Link>;

  constructor(options: ConnectOptions) {
    this.endpoints = describeEndpoints(options.endpoints);
    this.#clock = options.clock;
    this.#failover = new Failover(options, (endpoint) => new V2Link(endpoint, options));
  }

  async range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse<V2Node>> {
    const query = `?quorum=true&recursive=${request.end !== null}&sorted=false`;
    const ms = request.end === null ? CALL_MS : LIST_MS;
    const action = `read "${request.key}" in etcd`;
    const longest = request.end === null ? {} : { longest: LONGEST_LIST };
    const message: HttpRequest = { method: "GET", path: pathOf(request.key) + query, ...longest };
    const read = ({ head, text }: Answer, link: V2Link) => {
      try {
        const content = contentOf({ head, text }, link.source);
        const kvs = understood(link.source, () => nodesOf(request, content, head));
        return { header: headerOf(head), kvs };
      } catch (thrown) {
        if (thrown instanceof V2Error && thrown.code === CODES.keyNotFound) {
          return { header: headerOf(head), kvs: [] };
        }
        throw thrown;
      }
    };
    const { header, kvs } = await this.#call(action, message, read, ms, signal);
    return { header, kvs: request.newestOnly ? newest(kvs) : kvs, count: kvs.length };
  }

  async write({ key, expect, expectValue, put }: V2Write, signal?: AbortSignal): Promise<V2Written> {
    // etcd takes no empty value for a condition.
    const value = expectValue ? `&prevValue=${encodeURIComponent(expectValue)}` : "";
    const condition = expect === 0 ? "prevExist=false" : `prevIndex=${expect}${value}`;
    const message: HttpRequest = {
      method: put === null ? "DELETE" : "PUT",
      path: `${pathOf(key)}?${condition}`,
      ...(put !== null && { form: formOf(put.value, put.ttl) }),
    };
    const read = (answer: Answer, { source }: V2Link) =>
      understood(source, () => nodeOf(contentOf(answer, source), answer.head));
    try {
      const node = await this.#call(`write "${key}" in etcd`, message, read, CALL_MS, signal);
      return { succeeded: true, node };
    } catch (thrown) {
      if (!(thrown instanceof V2Error)) throw thrown;
      if (thrown.code === CODES.keyNotFound) return { succeeded: false, current: null };
      return { succeeded: false, current: (await this.range({ key, end: null }, signal)).kvs[0] ?? null };
    }
  }

  async release(signal?: AbortSignal): Promise<string> {
    const read = ({ text }: Answer) => /"etcdserver": *"([\d.]+)"/.exec(text)?.[1] ?? "";
    return await this.#call("ask etcd for its release", VERSION, read, CALL_MS, signal);
  }

  #call<T>(
    action: string,
    message: HttpRequest,
    read: (answer: Answer, link: V2Link) => T,
    ms: number,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#failover.attempt(
      action,
      signal,
      async (link, over) => read(await link.call(message, ms, over), link),
    );
  }

  async *watch(
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch<V2Node>> {
    const action = `watch "${range.key}" in etcd`;
    let link: V2Link | null = null;
    const stop = new AbortController();
    try {
      link = await this.#failover.attempt(action, signal, (link) => Promise.resolve(link));
      yield* this.#batches(link, range, fromRevision, AbortSignal.any([signal, stop.signal]));
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      if (link !== null && !(thrown instanceof HistoryLost)) this.#failover.drop(link);
      throw this.#failover.explain(action, thrown);
    } finally {
      stop.abort();
    }
  }

  /** One long poll after the other, each for one event. */
  async *#batches(
    link: V2Link,
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch<V2Node>> {
    for (let next = fromRevision;;) {
      const query = `?wait=true&waitIndex=${next}&recursive=${range.end !== null}`;
      const poll = await link.begin({ method: "GET", path: pathOf(range.key) + query }, CALL_MS, signal);
      const { head } = poll;
      if (head.status === 200) yield { header: headerOf(head), events: [] };
      const access = () => this.#requireAccess(link, range, signal);
      const text = await link.whileAlive(poll.text, POLL_MS, signal, access);
      if (text === null) {
        poll.end();
        continue;
      }
      if (head.status === 200 && text.trim() === "") {
        // etcd ends what waits for too long.
        await this.#clock.sleep(PAUSE_MS, signal);
        continue;
      }
      const content = contentOf({ head, text }, link.source);
      const { modRevision: revision } = understood(link.source, () => nodeOf(content, head));
      next = revision + 1;
      const event = changeOf(range, content, head);
      if (event !== null) yield { header: { ...headerOf(head), revision }, events: [event] };
    }
  }

  /**
   * Reads a small key of the range, or one that is not there, as the member that is asked has it: this costs the cluster nothing,
   * and tells whether our password and our role still count, and whether a user is asked for at all.
   *
   * @throws EndpointError, Denied, or the reason of `signal`
   */
  async #requireAccess(link: V2Link, { key, end }: KeyRange, signal: AbortSignal): Promise<void> {
    const answer = await link.call(
      { method: "GET", path: pathOf(end === null ? key : `${key}-`) },
      CALL_MS,
      signal,
    );
    try {
      contentOf(answer, link.source);
    } catch (thrown) {
      if (!(thrown instanceof V2Error)) throw thrown;
    }
  }

  close(): Promise<void> {
    return this.#failover.close();
  }
}

/** A range of keys is the directory that they stand in. */
function pathOf(key: string): string {
  return "/v2/keys" + key.replace(/\/$/, "").split("/").map(encodeURIComponent).join("/");
}

function formOf(value: string, ttl: number | null): URLSearchParams {
  return new URLSearchParams({ value, ...(ttl !== null && { ttl: String(ttl) }) });
}

function headerOf({ cluster, index }: AnswerHead): ResponseHeader {
  return { cluster, revision: index };
}

function newest(nodes: readonly V2Node[]): V2Node[] {
  return nodes.toSorted((a, b) => b.modRevision - a.modRevision).slice(0, 1);
}
