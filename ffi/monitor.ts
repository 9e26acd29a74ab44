/**
 * Kernel events as an async iterable: the C library's monitor thread, its pipe, its mask.
 *
 * The thread writes one byte when its mask leaves zero; reading the byte and then taking the mask can find nothing (an
 * earlier take had it already) but never miss anything. The iterable ends, and the thread with it, when the signal is
 * aborted. Kinds are gathered: however slow the reader is, at most one set waits. What changed waits in the library until it
 * is taken.
 */
import type { Socket } from "node:net";
import { Failure } from "../src/model/errors.ts";
import { decodeChange, encodePrefixes, Records } from "./codec.ts";
import { describeErrno } from "./errno.ts";
import { CHANGE, CHANGES, EVENT } from "./layout.ts";
import type { Library } from "./library.ts";
import { openPipe } from "./pipe.ts";
import type { MonitorKind, NetlinkChanges, NetlinkMonitor } from "./records.ts";

/**
 * Starts the thread.
 *
 * @param port the netlink port whose own changes are left out of the kinds
 * @throws {Failure} where the kernel refuses the subscription
 */
export function openMonitor(library: Library, port: number, signal: AbortSignal): NetlinkMonitor {
  const { symbols } = library;
  const error = new Int32Array(1);
  const handle = symbols.denim_monitor_start(port, error);
  if (handle === null) throw new Failure(`watch for kernel events: ${describeErrno(error[0] ?? 0)}`);
  const pipe = pipeOf(library, handle);
  const waiting = new Gathered();
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    symbols.denim_monitor_stop(handle);
    pipe.destroy();
    waiting.end();
  };
  pipe.on("data", () => stopped || waiting.add(symbols.denim_monitor_take(handle)));
  pipe.on("error", stop);
  pipe.on("close", stop);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  // Room for all that the ring can hold, so that one call takes everything; no page of it is there before it is written to.
  const room = new Records(CHANGE.size, CHANGES);
  return {
    [Symbol.asyncIterator]: () => waiting[Symbol.asyncIterator](),
    take: () => stopped ? nothing : takeChanges(library, handle, room),
    watch: (indexes, networks) => {
      const of = Uint32Array.from(indexes);
      const { bytes } = encodePrefixes(networks);
      if (!stopped) symbols.denim_monitor_watch(handle, of, of.length, bytes, networks.length);
    },
  };
}

const nothing: NetlinkChanges = { changes: [], lost: false };

function takeChanges({ symbols }: Library, handle: Deno.PointerObject, room: Records): NetlinkChanges {
  const lost = new Uint32Array(1);
  const count = symbols.denim_monitor_changes(handle, room.bytes, room.capacity, lost);
  const changes = Array.from({ length: count }, (_, i) => decodeChange(room, i * room.size));
  return { changes, lost: lost[0] !== 0 };
}

/** @throws with the thread ended */
function pipeOf(library: Library, handle: Deno.PointerObject): Socket {
  try {
    return openPipe(library, library.symbols.denim_monitor_pipe(handle));
  } catch (error) {
    library.symbols.denim_monitor_stop(handle);
    throw error;
  }
}

/** The events that nobody has taken yet, as one mask. */
class Gathered implements AsyncIterable<ReadonlySet<MonitorKind>> {
  #mask = 0;
  #ended = false;
  #wake = () => {};

  add(mask: number): void {
    this.#mask |= mask;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ReadonlySet<MonitorKind>> {
    while (true) {
      if (this.#mask === 0 && !this.#ended) await new Promise<void>((wake) => this.#wake = wake);
      if (this.#ended) return;
      const mask = this.#mask;
      this.#mask = 0;
      if (mask !== 0) yield kindsOf(mask);
    }
  }
}

const kinds = Object.entries(EVENT) as [MonitorKind, number][];

function kindsOf(mask: number): ReadonlySet<MonitorKind> {
  return new Set(kinds.filter(([, bit]) => (mask & bit) !== 0).map(([kind]) => kind));
}
