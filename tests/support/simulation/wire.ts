/**
 * The way from one simulated process to the etcd in memory: latency, partition, calls that fail, are done while their reply
 * gets lost, or are done twice, lists that lack records. It also watches the process's fingers: a record that is another
 * host's must never be overwritten, deleted or let go.
 */
import { Failure } from "../../../src/model/errors.ts";
import type {
  ConditionalWrite,
  GrantedLease,
  KeyValue,
  LeaseId,
  V3Remote,
  WriteResponse,
} from "../../../src/store/etcd/v3/remote.ts";
import type { V2Node, V2Remote, V2Write, V2Written } from "../../../src/store/etcd/v2/remote.ts";
import type { StoredText } from "../../../src/store/etcd/config.ts";
import type {
  EtcdReader,
  KeyRange,
  RangeRequest,
  RangeResponse,
  WatchBatch,
} from "../../../src/store/etcd/reader.ts";
import { StoreUnavailable } from "../../../src/store/store.ts";
import { Etcd2ModelRemote } from "../etcd2_model.ts";
import type { EtcdModel } from "../etcd_model.ts";
import type { Life } from "./life.ts";
import type { SimHost } from "./host.ts";
import { idsIn, ownerIn } from "./records.ts";
import type { MortalKernel } from "./mortal_kernel.ts";

/** Milliseconds until a call into a partition gives up. */
const TIMEOUT_MS = 2_000;

/** Of either of etcd's APIs. */
abstract class Wire<K extends StoredText, R extends EtcdReader<K>> {
  readonly endpoints = '"simulated"';
  protected readonly remote: R;
  protected readonly host: SimHost;
  protected readonly model: EtcdModel;
  readonly #life: Life;
  readonly #kernel: MortalKernel;

  constructor(host: SimHost, life: Life, kernel: MortalKernel, model: EtcdModel, remote: R) {
    this.host = host;
    this.#life = life;
    this.#kernel = kernel;
    this.model = model;
    this.remote = remote;
    kernel.unseen.add(model);
  }

  async range(request: RangeRequest, signal?: AbortSignal): Promise<RangeResponse<K>> {
    // Only watchers pass a signal, and only they are lied to: what a claim is decided on is linearizable.
    const snapshot = request.end !== null && !request.newestOnly && signal !== undefined;
    const answer = await this.call(signal, () => this.remote.range(request, signal));
    if (snapshot && this.host.faults.failingLists > 0 && this.host.faults.failingLists-- > 0) {
      throw new StoreUnavailable("the list failed half way");
    }
    if (snapshot) this.#kernel.unseen.delete(this.model);
    if (!snapshot || this.host.faults.thinLists === 0) return answer;
    this.host.faults.thinLists--;
    const kvs = answer.kvs.filter(() => this.host.world.random.int(3) === 0);
    return { ...answer, kvs, count: kvs.length };
  }

  async *watch(
    range: KeyRange,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncGenerator<WatchBatch<K>> {
    const { faults, world } = this.host;
    await this.call(signal, () => {});
    for await (const batch of this.remote.watch(range, fromRevision, signal)) {
      await this.#life.moment();
      if (faults.latencyMs > 0) await world.clock.sleep(world.random.int(faults.latencyMs), signal);
      if (faults.partitioned) throw new StoreUnavailable("the watch broke: no route to etcd");
      yield batch;
    }
  }

  close(): Promise<void> {
    return this.remote.close();
  }

  protected call<T>(signal: AbortSignal | undefined, work: () => T | Promise<T>): Promise<T> {
    const { faults, world } = this.host;
    return this.#life.call(async () => {
      const wait = faults.partitioned ? TIMEOUT_MS : faults.latencyMs && world.random.int(faults.latencyMs);
      if (wait > 0) await world.clock.sleep(wait, signal);
      if (faults.partitioned) throw new StoreUnavailable("no route to etcd");
      if (faults.refusedCalls > 0 && faults.refusedCalls-- > 0) {
        faults.refusedAt = world.clock.boot();
        throw new Failure("etcd refuses us: permission denied");
      }
      const fault = faults.storeCalls.shift();
      if (fault === "fail") throw new StoreUnavailable("the call failed");
      const answer = await work();
      if (fault === "lose reply") throw new StoreUnavailable("the reply was lost");
      return fault === "twice" ? await work() : answer;
    });
  }

  /** A mirror is whoever mirrors' to change. */
  protected own(value: string, did: string): void {
    if (value.includes('"Mirror"')) return;
    const ip = ownerIn(value);
    if (idsIn(value).some((id) => this.host.disk.ids.has(id))) return;
    if (ip !== undefined && !this.host.addresses.has(ip)) {
      this.host.world.violation(`${this.host.name} ${did} the record of ${ip}: ${value}`);
    }
  }

  /** Does a conditional write, and looks at whose record it went over. */
  protected async conditional<T extends { readonly succeeded: boolean }>(
    { key, expect }: { readonly key: string; readonly expect: number },
    write: () => Promise<T>,
  ): Promise<T> {
    const before = this.model.keys.get(key);
    const answer = await write();
    if (answer.succeeded && before?.modRevision === expect) this.own(before.value, "wrote over");
    return answer;
  }
}

export class Wire3 extends Wire<KeyValue, V3Remote> implements V3Remote {
  constructor(host: SimHost, life: Life, kernel: MortalKernel) {
    super(host, life, kernel, host.world.model, host.world.model.connect());
  }

  write(request: ConditionalWrite, signal?: AbortSignal): Promise<WriteResponse> {
    return this.call(signal, () => this.conditional(request, () => this.remote.write(request, signal)));
  }

  grantLease(ttl: number, signal?: AbortSignal): Promise<GrantedLease> {
    return this.call(signal, () => this.remote.grantLease(ttl, signal));
  }

  keepLeaseAlive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    return this.call(signal, () => this.remote.keepLeaseAlive(id, signal));
  }

  leaseTimeToLive(id: LeaseId, signal?: AbortSignal): Promise<number> {
    return this.call(signal, () => this.remote.leaseTimeToLive(id, signal));
  }

  revokeLease(id: LeaseId, signal?: AbortSignal): Promise<void> {
    return this.call(signal, () => {
      for (const kv of this.model.keys.values()) if (kv.lease === id) this.own(kv.value, "let go");
      return this.remote.revokeLease(id, signal);
    });
  }
}

export class Wire2 extends Wire<V2Node, V2Remote> implements V2Remote {
  constructor(host: SimHost, life: Life, kernel: MortalKernel) {
    super(host, life, kernel, host.world.model2, new Etcd2ModelRemote(host.world.model2));
  }

  write(request: V2Write, signal?: AbortSignal): Promise<V2Written> {
    return this.call(signal, () => this.conditional(request, () => this.remote.write(request, signal)));
  }

  release(signal?: AbortSignal): Promise<string> {
    return this.call(signal, () => this.remote.release(signal));
  }
}
