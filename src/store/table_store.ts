/**
 * A store out of its parts: a lease table, a feed of changes and a source of configuration. What stores of this kind share is
 * here, and nothing else: `memory.ts` and `sqlite.ts` bring the parts.
 */
import type { Lease, LeaseRecord, Subnets } from "../model/lease.ts";
import { abortable } from "../async/abortable.ts";
import { acquire, type AcquireDeps, createAt } from "./acquire.ts";
import { type ChangeFeed, follow } from "./change_feed.ts";
import { type ConfigSource, readConfig } from "./config_source.ts";
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
import { guarded } from "./watch_guard.ts";

export interface StoreParts {
  readonly name: string;
  readonly table: LeaseTable;
  /** A feed for one reader, whose hints end with `signal`. */
  feed(signal: AbortSignal): ChangeFeed;
  readonly config: ConfigSource;
  readonly deps: AcquireDeps;
  /** Frees what the store holds; called once. */
  close(): void;
}

export class TableStore implements Store {
  readonly capabilities = { allocates: true, expiry: true } as const;
  readonly #parts: StoreParts;
  readonly #closing = new AbortController();

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.name;
  }

  watchConfig(signal: AbortSignal): AsyncIterable<ConfigReading> {
    return readConfig(this.#parts.config, this.#orClosed(signal));
  }

  acquire(claim: Claim, signal: AbortSignal): Promise<Lease> {
    const end = this.#orClosed(signal);
    return abortable(acquire(this.#parts.table, claim, this.#parts.deps, end), end);
  }

  look(lease: Lease, signal?: AbortSignal): Promise<Look> {
    return abortable(this.#parts.table.look(lease), signal);
  }

  create(subnets: Subnets, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost | null> {
    return abortable(createAt(this.#parts.table, subnets, record), signal);
  }

  publish(lease: Lease, record: LeaseRecord, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.#parts.table.update(lease, record), signal);
  }

  renew(lease: Lease, signal?: AbortSignal): Promise<Lease | Lost> {
    return abortable(this.#parts.table.renew(lease), signal);
  }

  release(lease: Lease, signal?: AbortSignal): Promise<void> {
    return abortable(this.#parts.table.remove(lease), signal);
  }

  list(signal?: AbortSignal): Promise<Listing> {
    return abortable(this.#parts.table.list(), signal);
  }

  watch(signal: AbortSignal): AsyncIterable<StoreEvent> {
    const end = this.#orClosed(signal);
    return follow(guarded(this.#parts.feed(end), this.#parts.deps), this.#parts.deps, end);
  }

  /** Ends every iterable and attempt, then frees the rest. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    this.#closing.abort(new StoreUnavailable(`${this.name} was closed`));
    this.#parts.close();
    return Promise.resolve();
  }

  #orClosed(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}
