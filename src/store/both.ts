/**
 * A store out of two: etcd's v2 and v3 API at once, for a cluster in which some hosts know the one and some the other.
 *
 * Our own lease stands in both (`both_table.ts`), what both tell becomes one (`both_view.ts`), and of all hosts that see both one
 * is elected to mirror the records of the others (`election.ts`, `bridge.ts`). It stands for election while it is watched.
 */
import type { Clock, Random } from "../model/clock.ts";
import { messageOf } from "../model/errors.ts";
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";
import { parseNetworkConfig } from "../model/parse_config.ts";
import { abortable } from "../async/abortable.ts";
import type { Log } from "../observe/log.ts";
import { acquire, createAt } from "./acquire.ts";
import { contradictions, readBoth } from "./both_config.ts";
import { BothTable } from "./both_table.ts";
import { BothView, SIDES } from "./both_view.ts";
import { Bridge } from "./bridge.ts";
import type { ConfigPlace } from "./config_place.ts";
import type { Election } from "./election.ts";
import type { EtcdStoreFlags } from "./etcd_store.ts";
import { interleave } from "../async/interleave.ts";
import type { CopyTable } from "./lease_table.ts";
import {
  type Claim,
  type ConfigReading,
  type Listing,
  type Look,
  type Lost,
  type Store,
  type StoreEvent,
  StoreUnavailable,
} from "./store.ts";

/** One of the two. */
export interface BothSide {
  readonly store: Store;
  readonly table: CopyTable;
  readonly config: ConfigPlace;
}

export interface BothParts {
  /** The store owns both and closes them. */
  readonly v2: BothSide;
  readonly v3: BothSide;
  readonly election: Election;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
}

/**
 * The store that the flags describe. etcd need not run yet: it is first asked when the store is.
 *
 * @throws UsageError for malformed flags; Failure where a TLS file can't be used
 */
export async function openBothStore(flags: EtcdStoreFlags): Promise<BothStore> {
  const [{ connectOptions }, { connectEtcd2 }, { connectEtcd }, etcd2, etcd3, { Election }, { electionKey }] =
    await Promise.all([
      import("./etcd_store.ts"),
      import("./etcd2_client.ts"),
      import("./etcd3_client.ts"),
      import("./etcd2.ts"),
      import("./etcd3.ts"),
      import("./election.ts"),
      import("./etcd_keys.ts"),
    ]);
  const options = connectOptions(flags);
  const [remote2, remote3] = [connectEtcd2(options), connectEtcd(options)];
  const [v2, v3] = [new etcd2.Etcd2Store(remote2, flags), new etcd3.EtcdStore(remote3, flags)];
  const { clock, random, log, prefix } = flags;
  return new BothStore({
    v2: { store: v2, table: v2.table, config: etcd2.etcd2ConfigPlace(remote2, prefix) },
    v3: { store: v3, table: v3.table, config: etcd3.etcd3ConfigPlace(remote3, prefix) },
    election: new Election({ remote: remote3, key: electionKey(prefix), clock, random, log }),
    clock,
    random,
    ...(log && { log }),
  });
}

export class BothStore implements Store {
  readonly capabilities = { allocates: true, expiry: true } as const;
  readonly #parts: BothParts;
  readonly #table: BothTable;
  readonly #closing = new AbortController();
  /** Watches with their elections under way. */
  readonly #standing = new Set<Promise<void>>();

  constructor(parts: BothParts) {
    this.#parts = parts;
    this.#table = new BothTable(parts.v2.table, parts.v3.table);
  }

  get name(): string {
    return this.#parts.v3.store.name;
  }

  watchConfig(signal: AbortSignal): AsyncIterable<ConfigReading> {
    return readBoth(this.#parts.v2.store, this.#parts.v3.store, this.#orClosed(signal));
  }

  acquire(claim: Claim, signal: AbortSignal): Promise<Lease> {
    const end = this.#orClosed(signal);
    return abortable(acquire(this.#table, claim, this.#parts, end), end);
  }

  look(lease: Lease, signal?: AbortSignal): Promise<Look> {
    return abortable(this.#table.look(lease), signal);
  }

  create(subnets: Subnets, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost | null> {
    return abortable(createAt(this.#table, subnets, record), signal);
  }

  publish(lease: Lease, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.#table.update(lease, record), signal);
  }

  renew(lease: Lease, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.#table.renew(lease), signal);
  }

  release(lease: Lease, signal?: AbortSignal): Promise<void> {
    return abortable(this.#table.remove(lease), signal);
  }

  list(signal?: AbortSignal): Promise<Listing> {
    return abortable(this.#table.list(), signal);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<StoreEvent> {
    const { v2, v3, election, clock, log } = this.#parts;
    const end = new AbortController();
    const over = AbortSignal.any([this.#orClosed(signal), end.signal]);
    const view = new BothView({ endInV3: (lease) => abortable(v3.table.endOf(lease), over), log });
    const bridge = new Bridge({
      tables: { v2: v2.table, v3: v3.table },
      entries: () => view.entries(),
      objections: () => this.#objections(),
      clock,
      log,
    });
    const standing = election.run(over, (elected) => bridge.serve(elected));
    this.#standing.add(standing);
    standing.finally(() => this.#standing.delete(standing));
    try {
      for await (const [from, event] of interleave(v2.store.watch(over), v3.store.watch(over))) {
        yield* await view.take(SIDES[from], event);
        bridge.wake();
      }
    } finally {
      end.abort();
    }
  }

  /** Why the two may not be bridged. */
  async #objections(): Promise<string[]> {
    const { v2, v3 } = this.#parts;
    const [two, three] = await Promise.all([v2.config.read(), v3.config.read()]);
    if (two === null || three === null) return [`there is no configuration in ${two === null ? "v2" : "v3"}`];
    try {
      return contradictions(parseNetworkConfig(two.text), parseNetworkConfig(three.text));
    } catch (thrown) {
      return [`a configuration is wrong: ${messageOf(thrown)}`];
    }
  }

  /** Ends every iterable and attempt, gives the place of the elected back, then closes both. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable("the etcd store is closed"));
    await Promise.allSettled(this.#standing);
    await this.#parts.v2.store[Symbol.asyncDispose]();
    await this.#parts.v3.store[Symbol.asyncDispose]();
  }

  #orClosed(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}
