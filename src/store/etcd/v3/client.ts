/**
 * `V3Remote` over the network, with npm:etcd3: the translation between the store's calls and etcd's messages. Which member
 * is asked, and what happens when it does not answer, is `../failover.ts`.
 *
 * This module loads npm:etcd3; import it only where etcd is used.
 */
import { Buffer } from "node:buffer";
import type { CallOptions } from "@grpc/grpc-js";
import type { Etcd3, IKeyValue, IResponseHeader, ITxnRequest, IWatchResponse } from "etcd3";
import type { Clock } from "../../../model/clock.ts";
import { deadline, DeadlineExceeded } from "../../../async/deadline.ts";
import { describeEndpoints } from "../endpoints.ts";
import { ACCESS_MS, CALL_MS, type ConnectOptions, Failover, LIST_MS } from "../failover.ts";
import { bufferRange, Link } from "./link.ts";
import type { KeyRange, RangeRequest, RangeResponse, ResponseHeader, WatchBatch } from "../reader.ts";
import {
  Compacted,
  type ConditionalWrite,
  type GrantedLease,
  type KeyValue,
  type LeaseId,
  type V3Remote,
  type WriteResponse,
} from "./remote.ts";

/** Connects with the first call, so that it does not matter whether etcd runs yet. */
export function connectV3(options: ConnectOptions): V3Remote {
  return new EtcdClient(options);
}

class EtcdClient implements V3Remote {
  readonly endpoints: string;
  readonly #clock: Clock;
  readonly #failover: Failover<Link>;

  constructor(options: ConnectOptions) {
    this.endpoints = describeEndpoints(options.endpoints);
    this.#clock = options.clock;
    this.#failover = new Failover(options, (endpoint) => new Link(endpoint, options));
  }

  async range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse<KeyValue>> {
    const newest = { limit: 1, keys_only: true, sort_target: "Mod", sort_order: "Descend" } as const;
    const message = { ...bufferRange(request), ...(request.newestOnly && newest) };
    const ms = request.end === null ? CALL_MS : LIST_MS;
    const call = (etcd: Etcd3, options: CallOptions) => etcd.kv.range(message, options);
    const { header, kvs, count } = await this.#call(`read "${request.key}" in etcd`, call, ms, signal);
    return { header: readHeader(header), kvs: kvs.map(readKeyValue), count: Number(count) };
  }

  async write(request: ConditionalWrite, signal?: AbortSignal): Promise<WriteResponse> {
    const message = transaction(request);
    const call = (etcd: Etcd3, options: CallOptions) => etcd.kv.txn(message, options);
    const reply = await this.#call(`write "${request.key}" in etcd`, call, CALL_MS, signal);
    const current = reply.succeeded ? undefined : reply.responses[0]?.response_range?.kvs[0];
    return {
      header: readHeader(reply.header),
      succeeded: reply.succeeded,
      current: current === undefined ? null : readKeyValue(current),
    };
  }

  async grantLease(ttl: number, signal?: AbortSignal): Promise<GrantedLease> {
    const call = (etcd: Etcd3, options: CallOptions) => etcd.leaseClient.leaseGrant({ TTL: ttl }, options);
    const { ID, TTL } = await this.#call("get a lease from etcd", call, CALL_MS, signal);
    return { id: ID, ttl: Number(TTL) };
  }

  async keepLeaseAlive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    const call = (etcd: Etcd3, options: CallOptions) => keepAliveOnce(etcd, id, options);
    return await this.#call("extend the lease in etcd", call, CALL_MS, signal);
  }

  async leaseTimeToLive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    const call = (etcd: Etcd3, options: CallOptions) =>
      etcd.leaseClient.leaseTimeToLive({ ID: id, keys: false }, options);
    const { TTL } = await this.#call("ask etcd for a lease's end", call, CALL_MS, signal);
    return Math.max(0, Number(TTL));
  }

  async revokeLease(id: LeaseId, signal?: AbortSignal): Promise<void> {
    const call = (etcd: Etcd3, options: CallOptions) =>
      etcd.leaseClient.leaseRevoke({ ID: id }, options).catch((thrown) => {
        if (!/requested lease not found/.test(String(thrown))) throw thrown;
      });
    await this.#call("revoke a lease in etcd", call, CALL_MS, signal);
  }

  #call<T>(
    action: string,
    invoke: (etcd: Etcd3, options: CallOptions) => Promise<T>,
    ms: number,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#failover.attempt(action, signal, (link, over) => link.call(invoke, ms, over));
  }

  async *watch(
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch<KeyValue>> {
    const action = `watch "${range.key}" in etcd`;
    let link: Link | null = null;
    try {
      // On a connection that we may read by: an old token is replaced here, and is no outage.
      const allowed = await this.#failover.attempt(action, signal, async (tried, over) => {
        link = tried;
        await this.#requireAccess(tried, range, over);
        return tried;
      });
      yield* this.#batches(allowed, range, fromRevision, signal);
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      // A watch's refusal may be a stale token in disguise (etcd 3.4 says "permission denied"): start anew in any case.
      if (link !== null && !(thrown instanceof Compacted)) this.#failover.drop(link);
      throw this.#failover.explain(action, thrown);
    }
  }

  async *#batches(
    link: Link,
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch<KeyValue>> {
    const stop = new AbortController();
    const messages = link.watch(range, fromRevision, AbortSignal.any([signal, stop.signal]));
    try {
      // etcd never says that it can't create a watch for now.
      for (let first = true;; first = false) {
        const pending = messages.next();
        const { done, value } = first
          ? await deadline(this.#clock, CALL_MS, signal, () => pending)
          : await this.#whileAllowed(pending, link, range, signal);
        if (done) return;
        yield readBatch(value, link);
      }
    } finally {
      stop.abort();
      void messages.return(undefined);
    }
  }

  /** Waits for `pending` for as long as etcd lets us read what is watched. Nothing is ever said on a watch of who no longer may. */
  async #whileAllowed<T>(
    pending: Promise<T>,
    link: Link,
    range: KeyRange,
    signal: AbortSignal,
  ): Promise<T> {
    while (true) {
      try {
        return await deadline(this.#clock, ACCESS_MS, signal, () => pending);
      } catch (thrown) {
        if (!(thrown instanceof DeadlineExceeded)) throw thrown;
        await this.#requireAccess(link, range, signal);
      }
    }
  }

  /**
   * Reads one key of the range, as the member that is asked has it: this costs the cluster nothing, and tells whether our token,
   * our password and our role still count, and whether a user is asked for at all.
   *
   * @throws EndpointError, Denied, or the reason of `signal`
   */
  async #requireAccess(link: Link, { key }: KeyRange, signal: AbortSignal): Promise<void> {
    const message = { ...bufferRange({ key, end: null }), serializable: true, keys_only: true };
    await link.call((etcd, options) => etcd.kv.range(message, options), CALL_MS, signal);
  }

  close(): Promise<void> {
    return this.#failover.close();
  }
}

function transaction({ key, expect, expectValue, put }: ConditionalWrite): ITxnRequest {
  const name = Buffer.from(key);
  const change = put === null
    ? { request_delete_range: { key: name } }
    : { request_put: { key: name, value: Buffer.from(put.value), lease: put.lease } };
  return {
    compare: [
      { key: name, target: "Mod", result: "Equal", mod_revision: expect },
      ...expectValue === undefined
        ? []
        : [{ key: name, target: "Value", result: "Equal", value: Buffer.from(expectValue) } as const],
    ],
    success: [change],
    failure: [{ request_range: { key: name } }],
  };
}

async function keepAliveOnce(etcd: Etcd3, id: LeaseId, options: CallOptions): Promise<number> {
  const stream = await etcd.leaseClient.leaseKeepAlive(options);
  try {
    stream.write({ ID: id });
    for await (const { TTL } of stream as unknown as AsyncIterable<{ TTL: string }>) return Number(TTL);
    throw new Error("Connection dropped");
  } finally {
    stream.cancel();
  }
}

function readBatch(
  { header, canceled, compact_revision, cancel_reason, events }: IWatchResponse,
  link: Link,
): WatchBatch<KeyValue> {
  if (Number(compact_revision) > 0) throw new Compacted(Number(compact_revision));
  if (canceled) throw link.classified(new Error(cancel_reason));
  return {
    header: readHeader(header),
    events: events.map(({ type, kv }) => ({ type: type === "Put" ? "put" : "delete", kv: readKeyValue(kv) })),
  };
}

function readHeader({ cluster_id, revision }: IResponseHeader): ResponseHeader {
  return { cluster: cluster_id, revision: Number(revision) };
}

function readKeyValue(kv: IKeyValue): KeyValue {
  return {
    key: kv.key.toString(),
    value: kv.value.toString(),
    createRevision: Number(kv.create_revision),
    modRevision: Number(kv.mod_revision),
    lease: kv.lease,
  };
}
