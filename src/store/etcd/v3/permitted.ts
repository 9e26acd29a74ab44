/**
 * etcd for a user whose role may read `<prefix>/subnets/` and no more, as it is enough for flannel: then the records of IPv6 alone,
 * which stand beside it, are left out. That is said once, with what to do, and again when it is over.
 *
 * - What was permitted once and is not any more is a refusal like any other: peers that are known must not vanish over it.
 * - Each list and each look of a watch asks for all again, so that a wider role is noticed within minutes; watches that go on
 *   with less then end with HistoryLost, and everything is read anew.
 */
import type { Log } from "../../../observe/log.ts";
import { NotPermitted } from "../errors.ts";
import type { EtcdKeys } from "../keys.ts";
import {
  HistoryLost,
  type KeyRange,
  type RangeRequest,
  type RangeResponse,
  type WatchBatch,
} from "../reader.ts";
import type { ConditionalWrite, GrantedLease, KeyValue, LeaseId, V3Remote, WriteResponse } from "./remote.ts";

export class PermittedRemote implements V3Remote {
  readonly endpoints: string;
  readonly #remote: V3Remote;
  readonly #keys: EtcdKeys;
  readonly #log: Log | undefined;
  /** All was permitted at some time. */
  #all = false;
  /** Ends watches that go on with less; null while there is no reason to. */
  #less: AbortController | null = null;

  /** Closing it closes `remote`. */
  constructor(remote: V3Remote, keys: EtcdKeys, log?: Log) {
    this.endpoints = remote.endpoints;
    this.#remote = remote;
    this.#keys = keys;
    this.#log = log;
  }

  async range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse<KeyValue>> {
    if (!this.#isAll(request)) return await this.#remote.range(request, signal);
    try {
      const response = await this.#remote.range(request, signal);
      this.#permitted();
      return response;
    } catch (thrown) {
      if (!(thrown instanceof NotPermitted) || this.#all) throw thrown;
      const response = await this.#remote.range({ ...request, ...this.#keys.subnets }, signal);
      this.#refused();
      return response;
    }
  }

  /** A watch goes on with what the last list had. */
  watch(
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncIterable<WatchBatch<KeyValue>> {
    if (this.#less === null || !this.#isAll(range)) return this.#remote.watch(range, fromRevision, signal);
    const end = AbortSignal.any([signal, this.#less.signal]);
    return this.#remote.watch(this.#keys.subnets, fromRevision, end);
  }

  #isAll({ key, end }: KeyRange): boolean {
    const { records } = this.#keys;
    return key === records.key && end === records.end;
  }

  #permitted(): void {
    this.#all = true;
    if (this.#less === null) return;
    const text = `etcd lets us read "${this.#place}" now: hosts with IPv6 alone are seen`;
    this.#log?.info(text);
    this.#less.abort(new HistoryLost(text));
    this.#less = null;
  }

  #refused(): void {
    if (this.#less !== null) return;
    this.#less = new AbortController();
    const prefix = this.#keys.subnets.key.slice(0, -"s/".length);
    this.#log?.warn(
      `read "${this.#place}" in etcd: permission denied; hosts with IPv6 alone are not seen. If there are any, ` +
        `etcdctl role grant-permission ROLE --prefix=true readwrite ${prefix}`,
    );
  }

  get #place(): string {
    return this.#keys.subnet6?.key ?? "";
  }

  write(request: ConditionalWrite, signal?: AbortSignal): Promise<WriteResponse> {
    return this.#remote.write(request, signal);
  }

  grantLease(ttl: number, signal?: AbortSignal): Promise<GrantedLease> {
    return this.#remote.grantLease(ttl, signal);
  }

  keepLeaseAlive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    return this.#remote.keepLeaseAlive(id, signal);
  }

  leaseTimeToLive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    return this.#remote.leaseTimeToLive(id, signal);
  }

  revokeLease(id: LeaseId, signal?: AbortSignal): Promise<void> {
    return this.#remote.revokeLease(id, signal);
  }

  close(): Promise<void> {
    return this.#remote.close();
  }
}
