/** The few calls of the C library that the measurements need. Sources: the man pages of their names. */

const libc = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
});

const CLOCK_MONOTONIC = 1;
const time = new BigInt64Array(2);
const timeBytes = new Uint8Array(time.buffer);

/** Milliseconds of CLOCK_MONOTONIC. */
export function now(): number {
  libc.symbols.clock_gettime(CLOCK_MONOTONIC, timeBytes);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}

const AF_UNIX = 1;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_RCVBUFFORCE = 33;
const NETLINK_ROUTE = 0;
/** RTMGRP_IPV4_ROUTE. */
const IPV4_ROUTES = 0x40;

/** A netlink socket that hears of IPv4 routes in this thread's network namespace. */
export function routeSocket(): number {
  const address = new Uint8Array(12);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, IPV4_ROUTES, true);
  return prepared(libc.symbols.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), address);
}

/** A datagram socket at a path. */
export function datagramSocket(path: string): number {
  const address = new Uint8Array(110);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(new TextEncoder().encode(path), 2);
  return prepared(libc.symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), address);
}

/** How many bytes came, or a negative number where nothing came for 50 ms. */
export function receive(socket: number, buffer: Uint8Array<ArrayBuffer>): number {
  return Number(libc.symbols.recv(socket, buffer, BigInt(buffer.length), 0));
}

export function close(socket: number): void {
  libc.symbols.close(socket);
}

function prepared(socket: number, address: Uint8Array<ArrayBuffer>): number {
  const room = new Uint8Array(Int32Array.of(64 << 20).buffer);
  const wait = new Uint8Array(BigInt64Array.of(0n, 50_000n).buffer);
  libc.symbols.setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, room, room.length);
  libc.symbols.setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, wait, wait.length);
  if (socket >= 0 && libc.symbols.bind(socket, address, address.length) === 0) return socket;
  throw new Error("open a socket to listen on: refused");
}
