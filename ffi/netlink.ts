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
  NeighbourRecord,
  Netlink,
  NetlinkMonitor,
  NexthopRecord,
  RouteRecord,
} from "./records.ts";
import type { Batch, Symbols } from "./symbols.ts";

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
/** What stands between the handle and the records: a table, devices. */
type Question =
  | readonly []
  | readonly [table: number]
  | readonly [of: Uint32Array<ArrayBuffer>, count: number];
type Argument = number | Buffer | Uint32Array<ArrayBuffer>;
type BatchCall = (handle: Handle, ...rest: Argument[]) => number | Promise<number>;
type Readable = "links" | "addresses" | "routes" | "nexthops" | "neighbours";

class NetlinkSocket implements Netlink {
  readonly #symbols: Symbols;
  #handle: Handle | null;
  /** Resolves when the last call that was queued is over. */
  #last: Promise<unknown> = Promise.resolve();
  /** Calls that were queued and are not over. */
  #pending = 0;
  /** What each read found last: its size is the room for the next, its values are used again. */
  readonly #found = new Map<string, Decoded<unknown>>();
  nexthopsSupported = true;

  constructor(readonly library: Library, handle: Handle) {
    this.#symbols = library.symbols;
    this.#handle = handle;
  }

  links(): Promise<LinkRecord[]> {
    return this.#read("links", linkCodec);
  }

  addresses(): Promise<AddressRecord[]> {
    return this.#read("addresses", addressCodec);
  }

  routes(table: number): Promise<RouteRecord[]> {
    return this.#read("routes", routeCodec, [table]);
  }

  nexthops(): Promise<NexthopRecord[]> {
    return this.#read("nexthops", nexthopCodec);
  }

  neighbours(indexes: readonly number[]): Promise<NeighbourRecord[]> {
    const of = Uint32Array.from(indexes);
    return this.#read("neighbours", neighbourCodec, [of, of.length]);
  }

  applyLinks(changes: readonly Change<LinkRecord>[]): Promise<number[]> {
    return this.#apply("denim_apply_links", "links", encodeChanges(linkCodec, changes));
  }

  applyAddresses(changes: readonly Change<AddressRecord>[]): Promise<number[]> {
    return this.#apply("denim_apply_addresses", "addresses", encodeChanges(addressCodec, changes));
  }

  applyRoutes(changes: readonly Change<RouteRecord>[]): Promise<number[]> {
    return this.#apply("denim_apply_routes", "routes", encodeChanges(routeCodec, changes));
  }

  applyNexthops(changes: readonly Change<NexthopRecord>[]): Promise<number[]> {
    return this.#apply("denim_apply_nexthops", "nexthops", encodeChanges(nexthopCodec, changes));
  }

  applyNeighbours(changes: readonly Change<NeighbourRecord>[]): Promise<number[]> {
    return this.#apply("denim_apply_neighbours", "neighbours", encodeChanges(neighbourCodec, changes));
  }

  async lookUp(addresses: readonly string[]): Promise<(RouteRecord | number)[]> {
    const records = encodeQuestions(addresses);
    const results = await this.#apply("denim_look_up", "questions", records);
    return results.map((result, i) => result < 0 ? result : routeCodec.decode(records, i * records.size));
  }

  monitor(signal: AbortSignal): NetlinkMonitor {
    return openMonitor(this.library, this.#symbols.denim_port(this.#open()), signal);
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

  /** A batch in place, or, where it is long, on another thread. */
  #call(batch: Batch, count: number, handle: Handle, ...rest: Argument[]): number | Promise<number> {
    const name: Batch | `${Batch}Later` = count > LATER ? `${batch}Later` : batch;
    const call = this.#symbols[name] as BatchCall;
    return call(handle, ...rest);
  }

  #read<R>(what: Readable, codec: Codec<R>, question: Question = []): Promise<R[]> {
    return this.#queue(async (handle) => {
      const before = this.#found.get(what) as Decoded<R> | undefined;
      let capacity = (before?.values.length ?? 0) + ROOM;
      while (true) {
        const records = new Records(codec.size, capacity);
        const answer = await this.#call(
          `denim_read_${what}`,
          capacity,
          handle,
          ...question,
          records.bytes,
          capacity,
        );
        const count = what === "nexthops" ? this.#orNone(answer) : answer;
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

  /** A kernel without nexthop objects has none. */
  #orNone(answer: number): number {
    this.nexthopsSupported = answer !== -EOPNOTSUPP;
    return this.nexthopsSupported ? answer : 0;
  }

  #apply(batch: Batch, what: string, records: Records): Promise<number[]> {
    const count = records.capacity;
    return this.#queue(async (handle) => {
      const failed = count === 0 ? 0 : await this.#call(batch, count, handle, records.bytes, count);
      if (failed < 0) throw new Failure(`send ${count} ${what} to the kernel: ${describeErrno(failed)}`);
      return Array.from({ length: count }, (_, i) => records.result(i));
    });
  }
}
