/**
 * What the conformance suite needs to know of a store, and the small tools that its tests share.
 */
import { assert } from "@std/assert";
import type { Clock } from "../../src/model/clock.ts";
import { parseIp } from "../../src/model/ip.ts";
import type { Lease, LeaseRecord, Subnets } from "../../src/model/lease.ts";
import { formatLeaseKey, parseLeaseKey } from "../../src/model/lease_codec.ts";
import type { NetworkConfig } from "../../src/model/network_config.ts";
import { parseNetworkConfig } from "../../src/model/parse_config.ts";
import { type Claim, isLost, type Lost, type Store, type StoreEvent } from "../../src/store/store.ts";
import { claimant } from "../support/identity.ts";

/** One database that many hosts use, empty at first. */
export interface Harness extends AsyncDisposable {
  /** The clock of all stores; real time. */
  readonly clock: Clock;
  /** The store of one host, with a connection of its own. The harness disposes it in the end. */
  store(hostIp: string, options?: { readonly ttlMs?: number }): Promise<Store>;
  /** Replaces the text of the network configuration. */
  setConfig(text: string): Promise<void>;
  /** The text that the store writes for `ours(hostIp, mac, turn)`. */
  value(hostIp: string, mac?: string, turn?: number): string;
  readonly raw: RawAccess;
}

/** The database as any other client sees it. Keys without the path: `10.3.7.0-24`. */
export interface RawAccess {
  get(key: string): Promise<string | null>;
  /** Without `ttlMs` the key never runs out. Stores may round up to whole seconds. */
  put(key: string, value: string, ttlMs?: number): Promise<void>;
  delete(key: string): Promise<void>;
  /** Milliseconds until the key runs out; null where it never does. */
  ttl(key: string): Promise<number | null>;
}

/** Where a record with this name stands in etcd's v3 API. */
export function etcdPlace(prefix: string, name: string): string {
  return `${prefix}/${/^[0-9a-f:]*:[0-9a-f:]*-\d+$/.test(name) ? "subnet6" : "subnets"}/${name}`;
}

/** How long anything may take that a test waits for. */
export const DEADLINE_MS = 15_000;

export const network = parseNetworkConfig('{"Network": "10.3.0.0/16", "Backend": {"Type": "vxlan"}}');
export const none: Subnets = { v4: null, v6: null };

/** The tunnel address of a host: each has its own. */
function macOf(hostIp: string): string {
  const octets = hostIp.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0"));
  return `02:00:${octets.slice(0, 4).join(":")}`;
}

/** What a host of the vxlan backend publishes. */
export function record(hostIp: string, mac = macOf(hostIp)): LeaseRecord {
  const publicIp = parseIp(hostIp);
  assert(publicIp !== null, hostIp);
  return { publicIp, publicIpv6: null, backendType: "vxlan", backendData: { VNI: 1, VtepMAC: mac } };
}

/** That record's text, as upstream writes it. */
export function value(hostIp: string, mac = macOf(hostIp)): string {
  return `{"PublicIP":"${hostIp}","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"${mac}"}}`;
}

/** The same as upstream wrote it before IPv6. */
export function oldValue(hostIp: string, mac?: string): string {
  return beforeIpv6(value(hostIp, mac));
}

/** What the host of `claim(hostIp)` publishes once it has a subnet. */
export function ours(hostIp: string, mac?: string, turn = 1, after: string | null = null): LeaseRecord {
  const { host, run } = claimant(hostIp);
  return { ...record(hostIp, mac), mark: { host, run, turn, after } };
}

/** That record's text. */
export function ownValue(
  hostIp: string,
  mac?: string,
  turn = 1,
  after: string | null = null,
  content = value(hostIp, mac),
): string {
  const { host, run } = claimant(hostIp);
  const trial = after === null ? "" : `,"After":"${after}"`;
  return content.replace(/\}$/, `,"Host":"${host}","Run":"${run}","Turn":${turn}${trial}}`);
}

/** The same in the form from before IPv6. */
export function oldOwnValue(...args: Parameters<typeof ownValue>): string {
  return beforeIpv6(ownValue(...args));
}

function beforeIpv6(text: string): string {
  return text.replace('"PublicIPv6":null,', "");
}

export function claim(hostIp: string, config: NetworkConfig = network, previous: Subnets = none): Claim {
  return { config, self: claimant(hostIp), record: record(hostIp), previous };
}

/** The subnets that a key names. */
export function subnets(key: string): Subnets {
  const parsed = parseLeaseKey(key);
  assert(parsed !== null, key);
  return parsed;
}

export function keyOf(lease: { readonly subnets: Subnets }): string {
  return formatLeaseKey(lease.subnets);
}

/** A signal for calls that should come to an end by themselves. */
export function soon(): AbortSignal {
  return AbortSignal.timeout(DEADLINE_MS);
}

/** Rejects where `work` takes longer than `ms`. */
export async function within<T>(ms: number, what: string, work: PromiseLike<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Reads an iterable in the background and lets a test wait for what it delivers. */
export class Reader<T> implements AsyncDisposable {
  readonly seen: T[] = [];
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  #arrived = Promise.withResolvers<void>();

  constructor(open: (signal: AbortSignal) => AsyncIterable<T>) {
    this.#done = this.#read(open(this.#abort.signal));
  }

  async #read(source: AsyncIterable<T>): Promise<void> {
    for await (const item of source) {
      this.seen.push(item);
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
  }

  /** The first item, seen or to come, that `wanted` is true for. */
  until(what: string, wanted: (item: T) => boolean): Promise<T> {
    const search = async (): Promise<T> => {
      for (let i = 0;; i++) {
        while (i >= this.seen.length) await this.#arrived.promise;
        const item = this.seen[i] as T;
        if (wanted(item)) return item;
      }
    };
    return within(DEADLINE_MS, `${what}; seen: ${Deno.inspect(this.seen, { depth: 6 })}`, search());
  }

  /** Ends the iterable and waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await within(3_000, "the iterable ends after the abort", this.#done);
  }
}

export function watch(store: Store): Reader<StoreEvent> {
  return new Reader((signal) => store.watch(signal));
}

/** True for the put of this key (with this MAC). */
export function isPut(key: string, mac?: string): (event: StoreEvent) => boolean {
  return (event) =>
    event.type === "put" && keyOf(event.lease) === key &&
    (mac === undefined || JSON.stringify(event.lease.record.backendData).includes(mac));
}

export function isDelete(key: string): (event: StoreEvent) => boolean {
  return (event) => event.type === "delete" && formatLeaseKey(event.subnets) === key;
}

export function isUnreadable(key: string): (event: StoreEvent) => boolean {
  return (event) => event.type === "unreadable" && event.unreadable.key === key;
}

export function held(result: Lease | Lost): Lease {
  assert(!isLost(result), `lost: ${Deno.inspect(result)}`);
  return result;
}

export function lost(result: Lease | Lost): Lost {
  assert(isLost(result), "the lease should be lost");
  return result;
}

/** Registers a test of a suite that stores share. */
export type Test = (title: string, body: (harness: Harness) => Promise<void>) => void;
