/** The thread of an ear: blocks in recv() until it is told to end. See `ear.ts`. */
import { inside } from "../tests/support/inside.ts";
import { events, ROOM, type Shared, type Source } from "./ear.ts";
import { close, datagramSocket, now, receive, routeSocket } from "./libc.ts";

declare const self: Worker & { close(): void };

/** linux/rtnetlink.h: message types, the table, and the attribute with the destination. */
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RT_TABLE_MAIN = 254;
const RTA_DST = 1;
/** Sizes of struct nlmsghdr and of struct rtmsg. */
const HEADER = 16;
const ROUTE = 12;

self.onmessage = ({ data }: MessageEvent<{ source: Source; shared: Shared }>) => {
  const { source, shared } = data;
  const socket = "socket" in source ? datagramSocket(source.socket) : inside(source.routesOf, routeSocket);
  self.postMessage("open");
  listen(socket, "socket" in source, shared);
  close(socket);
  self.postMessage("closed");
};

function listen(socket: number, datagrams: boolean, shared: Shared): void {
  const buffer = new Uint8Array(65_536);
  const view = new DataView(buffer.buffer);
  while (Atomics.load(shared.counters, 1) === 0) {
    const length = receive(socket, buffer);
    if (length < 0) continue;
    const at = now();
    if (datagrams) note(shared, 2, 0, at);
    else readRoute(view, length, shared, at);
  }
}

/** The kernel sends one message at a time. */
function readRoute(view: DataView, length: number, shared: Shared, at: number): void {
  const type = view.getUint16(4, true);
  if (type !== RTM_NEWROUTE && type !== RTM_DELROUTE) return;
  if (view.getUint8(HEADER + 4) !== RT_TABLE_MAIN) return;
  for (let i = HEADER + ROUTE; i + 4 <= length;) {
    const size = view.getUint16(i, true);
    if (view.getUint16(i + 2, true) === RTA_DST) {
      note(shared, type === RTM_NEWROUTE ? 0 : 1, view.getUint32(i + 4, false), at);
    }
    i += Math.max(4, (size + 3) & ~3);
  }
}

function note(shared: Shared, kind: number, address: number, at: number): void {
  const i = Atomics.load(shared.counters, 0);
  if (i === ROOM || events[kind] === undefined) return;
  shared.kinds[i] = kind;
  shared.addresses[i] = address;
  shared.times[i] = at;
  Atomics.store(shared.counters, 0, i + 1);
}
