/**
 * rtnetlink over the C library: reads, applies, look-ups, events.
 *
 * One socket, used by one call at a time: calls queue up behind each other. Short ones run in place; above `LATER` records a
 * call runs on another thread, so that the event loop goes on. The socket belongs to the network namespace it was opened in.
 */
import { Failure } from "../src/model/errors.ts";
import {
  addressCodec,
  type Codec,
  decodeAll,
  type Decoded,
  encodeChanges,
  encodeQuestions,
  linkCodec,
  neighbourCodec,
  nexthopCodec,
  Records,
  routeCodec,
} from "./codec.ts";
import { describeErrno } from "./errno.ts";
import type { Library } from "./library.ts";
import { openMonitor } from "./monitor.ts";
import type {
  AddressRecord,
  Change,
  LinkRecord,
  MonitorKind,
  NeighbourRecord,
  Netlink,
  NexthopRecord,
  RouteRecord,
} from "./records.ts";
import type { Symbols } from "./symbols.ts";

/** Above this many records a call is worth another thread (some 30 µs). */
const LATER = 500;
/** Room that a read has at first, and for what appears between two attempts. */
const ROOM = 64;
/** asm-generic/errno.h. */
const EOPNOTSUPP = 95;

/**
 * Opens a netlink socket in the calling thread's network namespace.
 *
 * @throws {Failure} where the kernel refuses it
 */
export function openNetlink(library: Library): Netlink {
  const error = new Int32Array(1);
  const handle = library.symbols.denim_open(error);
  if (handle === null) throw new Failure(`open a netlink socket: ${describeErrno(error[0] ?? 0)}`);
  return new NetlinkSocket(library, handle);
}

type Handle = Deno.PointerObject;
type Buffer = Uint8Array<ArrayBuffer>;
type Reader = (out: Buffer, capacity: number, later: boolean) => number | Promise<number>;
type Applier = (records: Buffer, count: number, later: boolean) => number | Promise<number>;

class NetlinkSocket implements Netlink {
  readonly #symbols: Symbols;
  #handle: Handle | null;
  /** Resolves when the last call that was queued is over. */
  #last: Promise<unknown> = Promise.resolve();
  /** Calls that were queued and are not over. */
  #pending = 0;
  /** What each read found last: its size is the room for the next, its values are used again. */
  readonly #found = new Map<string, Decoded<unknown>>();
  readonly #watchers = new Set<(indexes: readonly number[]) => void>();
  nexthopsSupported = true;

  constructor(readonly library: Library, handle: Handle) {
    this.#symbols = library.symbols;
    this.#handle = handle;
  }

  links(): Promise<LinkRecord[]> {
    const s = this.#symbols;
    return this.#read(
      "links",
      linkCodec,
      (handle) => (out, capacity, later) =>
        later ? s.denim_read_linksLater(handle, out, capacity) : s.denim_read_links(handle, out, capacity),
    );
  }

  addresses(): Promise<AddressRecord[]> {
    const s = this.#symbols;
    return this.#read(
      "addresses",
      addressCodec,
      (handle) => (out, capacity, later) =>
        later
          ? s.denim_read_addressesLater(handle, out, capacity)
          : s.denim_read_addresses(handle, out, capacity),
    );
  }

  routes(table: number): Promise<RouteRecord[]> {
    const s = this.#symbols;
    return this.#read(
      "routes",
      routeCodec,
      (handle) => (out, capacity, later) =>
        later
          ? s.denim_read_routesLater(handle, table, out, capacity)
          : s.denim_read_routes(handle, table, out, capacity),
    );
  }

  nexthops(): Promise<NexthopRecord[]> {
    const s = this.#symbols;
    const known = (count: number) => {
      this.nexthopsSupported = count !== -EOPNOTSUPP;
      return this.nexthopsSupported ? count : 0;
    };
    return this.#read(
      "nexthops",
      nexthopCodec,
      (handle) => async (out, capacity, later) =>
        known(
          await (later
            ? s.denim_read_nexthopsLater(handle, out, capacity)
            : s.denim_read_nexthops(handle, out, capacity)),
        ),
    );
  }

  neighbours(indexes: readonly number[]): Promise<NeighbourRecord[]> {
    const s = this.#symbols;
    const of = Uint32Array.from(indexes);
    this.#watchers.forEach((watch) => watch(indexes));
    return this.#read(
      "neighbours",
      neighbourCodec,
      (handle) => (out, capacity, later) =>
        later
          ? s.denim_read_neighboursLater(handle, of, of.length, out, capacity)
          : s.denim_read_neighbours(handle, of, of.length, out, capacity),
    );
  }

  applyLinks(changes: readonly Change<LinkRecord>[]): Promise<number[]> {
    const s = this.#symbols;
    return this.#apply(
      "links",
      encodeChanges(linkCodec, changes),
      (handle) => (records, count, later) =>
        later
          ? s.denim_apply_linksLater(handle, records, count)
          : s.denim_apply_links(handle, records, count),
    );
  }

  applyAddresses(changes: readonly Change<AddressRecord>[]): Promise<number[]> {
    const s = this.#symbols;
    return this.#apply(
      "addresses",
      encodeChanges(addressCodec, changes),
      (handle) => (records, count, later) =>
        later
          ? s.denim_apply_addressesLater(handle, records, count)
          : s.denim_apply_addresses(handle, records, count),
    );
  }

  applyRoutes(changes: readonly Change<RouteRecord>[]): Promise<number[]> {
    const s = this.#symbols;
    return this.#apply(
      "routes",
      encodeChanges(routeCodec, changes),
      (handle) => (records, count, later) =>
        later
          ? s.denim_apply_routesLater(handle, records, count)
          : s.denim_apply_routes(handle, records, count),
    );
  }

  applyNexthops(changes: readonly Change<NexthopRecord>[]): Promise<number[]> {
    const s = this.#symbols;
    return this.#apply(
      "nexthops",
      encodeChanges(nexthopCodec, changes),
      (handle) => (records, count, later) =>
        later
          ? s.denim_apply_nexthopsLater(handle, records, count)
          : s.denim_apply_nexthops(handle, records, count),
    );
  }

  applyNeighbours(changes: readonly Change<NeighbourRecord>[]): Promise<number[]> {
    const s = this.#symbols;
    return this.#apply(
      "neighbours",
      encodeChanges(neighbourCodec, changes),
      (handle) => (records, count, later) =>
        later
          ? s.denim_apply_neighboursLater(handle, records, count)
          : s.denim_apply_neighbours(handle, records, count),
    );
  }

  async lookUp(addresses: readonly string[]): Promise<(RouteRecord | number)[]> {
    const s = this.#symbols;
    const records = encodeQuestions(addresses);
    const results = await this.#apply(
      "questions",
      records,
      (handle) => (bytes, count, later) =>
        later ? s.denim_look_upLater(handle, bytes, count) : s.denim_look_up(handle, bytes, count),
    );
    return results.map((result, i) => result < 0 ? result : routeCodec.decode(records, i * records.size));
  }

  monitor(signal: AbortSignal): AsyncIterable<ReadonlySet<MonitorKind>> {
    const monitor = openMonitor(this.library, this.#symbols.denim_port(this.#open()), signal);
    this.#watchers.add(monitor.watchDevices);
    signal.addEventListener("abort", () => this.#watchers.delete(monitor.watchDevices), { once: true });
    return monitor.events;
  }

  /** Closes the socket: at once, or when the calls under way are over. */
  [Symbol.dispose](): void {
    const handle = this.#handle;
    this.#handle = null;
    if (handle === null) return;
    const close = () => this.#symbols.denim_close(handle);
    if (this.#pending === 0) close();
    else this.#last = this.#last.then(close);
  }

  #open(): Handle {
    if (this.#handle === null) throw new Failure("use a netlink socket: it is closed");
    return this.#handle;
  }

  /** Runs `call` when those before it are over, whatever became of them. */
  #queue<T>(call: (handle: Handle) => Promise<T>): Promise<T> {
    const handle = this.#open();
    this.#pending++;
    const result = this.#last.then(() => call(handle)).finally(() => this.#pending--);
    this.#last = result.catch(() => {});
    return result;
  }

  #read<R>(what: string, codec: Codec<R>, bind: (handle: Handle) => Reader): Promise<R[]> {
    return this.#queue(async (handle) => {
      const read = bind(handle);
      const before = this.#found.get(what) as Decoded<R> | undefined;
      let capacity = (before?.values.length ?? 0) + ROOM;
      while (true) {
        const records = new Records(codec.size, capacity);
        const count = await read(records.bytes, capacity, capacity > LATER);
        if (count < 0) throw new Failure(`read the kernel's ${what}: ${describeErrno(count)}`);
        if (count <= capacity) {
          const values = decodeAll(codec, records, count, before);
          this.#found.set(what, { from: records, values });
          return values;
        }
        capacity = count + ROOM;
      }
    });
  }

  #apply(what: string, records: Records, bind: (handle: Handle) => Applier): Promise<number[]> {
    const count = records.capacity;
    return this.#queue(async (handle) => {
      const failed = count === 0 ? 0 : await bind(handle)(records.bytes, count, count > LATER);
      if (failed < 0) throw new Failure(`send ${count} ${what} to the kernel: ${describeErrno(failed)}`);
      return Array.from({ length: count }, (_, i) => records.result(i));
    });
  }
}
