/**
 * A store out of its parts: a lease table, and where configuration and events come from. What all stores that allocate have in
 * common is here: taking a subnet, the operations on one's own lease, and ending all that is under way when the store is closed.
 */
import { abortable } from "../async/abortable.ts";
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";
import { acquire, type AcquireDeps, createAt } from "./acquire.ts";
import type { LeaseTable } from "./lease_table.ts";
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

export interface StoreParts<T extends LeaseTable = LeaseTable> {
  readonly name: string;
  readonly table: T;
  readonly deps: AcquireDeps;
  config(signal: AbortSignal): AsyncIterable<ConfigReading>;
  events(signal: AbortSignal): AsyncIterable<StoreEvent>;
  /** Frees what the store holds; called once, when everything that was under way has been told to end. */
  close(): Promise<void> | void;
}

export class TableStore<T extends LeaseTable = LeaseTable> implements Store {
  readonly #parts: StoreParts<T>;
  readonly #closing = new AbortController();

  constructor(parts: StoreParts<T>) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.name;
  }

  /** The records as such, for who stands in several stores. */
  get table(): T {
    return this.#parts.table;
  }

  watchConfig(signal: AbortSignal): AsyncIterable<ConfigReading> {
    return this.#parts.config(this.#orClosed(signal));
  }

  acquire(claim: Claim, signal: AbortSignal): Promise<Lease> {
    const end = this.#orClosed(signal);
    return abortable(acquire(this.table, claim, this.#parts.deps, end), end);
  }

  look(lease: Lease, signal?: AbortSignal): Promise<Look> {
    return abortable(this.table.look(lease), signal);
  }

  create(subnets: Subnets, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost | null> {
    return abortable(createAt(this.table, subnets, record), signal);
  }

  publish(lease: Lease, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.table.update(lease, record), signal);
  }

  renew(lease: Lease, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.table.renew(lease), signal);
  }

  release(lease: Lease, signal?: AbortSignal): Promise<void> {
    return abortable(this.table.remove(lease), signal);
  }

  list(signal?: AbortSignal): Promise<Listing> {
    return abortable(this.table.list(), signal);
  }

  watch(signal: AbortSignal): AsyncIterable<StoreEvent> {
    return this.#parts.events(this.#orClosed(signal));
  }

  /** Ends every iterable and attempt, then frees the rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StoreUnavailable(`the store was closed (${this.name})`));
    await this.#parts.close();
  }

  #orClosed(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}
