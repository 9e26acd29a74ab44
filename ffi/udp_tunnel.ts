/**
 * The userspace UDP datapath: the C library's packet threads between a TUN device and UDP sockets.
 *
 * Here are only its start and end, the peers and the figures; no packet passes through JavaScript. The device's addresses,
 * MTU and routes are the caller's business, and so is the network namespace: that of the process. Counters are sums since
 * the start; a peer keeps its own as long as its subnet, address and port stay.
 */
import { Socket } from "node:net";
import { Failure } from "../src/model/errors.ts";
import { describeErrno } from "./errno.ts";
import { writeIp } from "./ip_text.ts";
import {
  NAME_SIZE,
  UDP_DROP,
  UDP_FEATURE,
  UDP_PEER,
  UDP_PEER_STATS,
  UDP_QUEUES,
  UDP_SETTINGS,
  UDP_STATS,
} from "./layout.ts";
import type { Library } from "./library.ts";

export type UdpFeature = keyof typeof UDP_FEATURE;
export type UdpDrop = keyof typeof UDP_DROP;

/** What one queue is made of; as a service manager keeps them. */
export interface UdpDescriptors {
  readonly tun: number;
  /** null where there is no such socket. */
  readonly socketV4: number | null;
  readonly socketV6: number | null;
}

export interface UdpTunnelOptions {
  /** Of the TUN device, or a pattern: `flannel%d`. */
  readonly name: string;
  /** Of the sockets. */
  readonly port: number;
  /** Addresses of this host in the underlay: a socket for each; `0.0.0.0` and `::` for any. */
  readonly underlay: readonly string[];
  /** Where ICMP errors come from, at most one address of each family; none are sent for a family without. */
  readonly icmpSources?: readonly string[];
  /** Threads, each with a queue of the device and sockets of its own; 1 unless told. */
  readonly queues?: number;
  /** What is not to be used even where the kernel has it. */
  readonly without?: readonly UdpFeature[];
  /** Descriptors of a former tunnel with the same options, one entry a queue: used instead of opening new ones. */
  readonly descriptors?: readonly UdpDescriptors[];
}

/** One subnet behind a peer. */
export interface UdpPeer {
  /** `10.5.2.0/24`, `fd00:5:2::/64`. */
  readonly subnet: string;
  /** The peer's public address and the port it listens on. */
  readonly address: string;
  readonly port: number;
  /** Longest inner packet in bytes; 0: no limit, the underlay fragments what is longer. */
  readonly mtu: number;
}

export interface UdpPeerStatistics {
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  /** The underlay takes only one packet a message towards this peer. */
  readonly alone: boolean;
}

export interface UdpStatistics {
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly sentMessages: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  readonly receivedMessages: number;
  readonly deviceReads: number;
  readonly deviceWrites: number;
  readonly icmpSent: number;
  readonly drops: Readonly<Record<UdpDrop, number>>;
  readonly features: readonly UdpFeature[];
  /** In the order in which they were set. */
  readonly peers: readonly UdpPeerStatistics[];
}

export interface UdpTunnel extends Disposable {
  /** The device's name as the kernel has it. */
  readonly name: string;
  /** Resolves with what happened once a thread ended by itself (its device was deleted); null after a normal stop. */
  readonly ended: Promise<Failure | null>;
  readonly descriptors: () => UdpDescriptors[];
  /**
   * From now on these are the peers, all at once.
   *
   * @throws {Failure} where one cannot be (the former peers stay then), naming it
   */
  readonly setPeers: (peers: readonly UdpPeer[]) => void;
  readonly statistics: () => UdpStatistics;
  /** Ends the threads but leaves the descriptors open, the caller's from now on: the device stays. */
  readonly release: () => UdpDescriptors[];
}

/**
 * Opens what is needed and starts the threads.
 *
 * @throws {Failure} where the options make no sense or the kernel refuses
 */
export function openUdpTunnel(library: Library, options: UdpTunnelOptions): UdpTunnel {
  const error = new Int32Array(1);
  const handle = library.symbols.denim_udp_start(encodeSettings(options), error);
  if (handle === null) {
    throw new Failure(`open the UDP tunnel "${options.name}": ${describeErrno(error[0] ?? 0)}`);
  }
  return new Running(library, handle, options.queues ?? 1);
}

class Running implements UdpTunnel {
  readonly name: string;
  readonly ended: Promise<Failure | null>;
  readonly #symbols: Library["symbols"];
  readonly #pipe: Socket;
  #handle: Deno.PointerObject | null;
  #end: (failure: Failure | null) => void = () => {};

  constructor(library: Library, handle: Deno.PointerObject, readonly queues: number) {
    this.#symbols = library.symbols;
    this.#handle = handle;
    const { view } = this.#read(0);
    this.name = text(view, UDP_STATS.name);
    this.ended = new Promise((resolve) => this.#end = resolve);
    this.#pipe = new Socket({ fd: this.#symbols.denim_udp_pipe(handle), readable: true, writable: false });
    this.#pipe.on("data", () => this.#fail());
    this.#pipe.on("error", () => {});
  }

  #fail(): void {
    if (this.#handle === null) return;
    const errno = this.#read(0).view.getInt32(UDP_STATS.failed, true);
    this.#end(new Failure(`carry packets of the device "${this.name}": ${describeErrno(errno)}`));
  }

  #running(): Deno.PointerObject {
    if (this.#handle !== null) return this.#handle;
    throw new Failure(`use the UDP tunnel "${this.name}": it is stopped`);
  }

  #read(capacity: number): { view: DataView; peers: DataView; count: number } {
    const stats = new Uint8Array(UDP_STATS.size);
    const peers = new Uint8Array(capacity * UDP_PEER_STATS.size);
    const count = this.#symbols.denim_udp_stats(this.#running(), stats, peers, capacity);
    return { view: new DataView(stats.buffer), peers: new DataView(peers.buffer), count };
  }

  descriptors(): UdpDescriptors[] {
    const numbers = new Int32Array(3 * this.queues);
    this.#symbols.denim_udp_descriptors(this.#running(), numbers, numbers.length);
    const orNull = (fd: number | undefined) => fd === undefined || fd < 0 ? null : fd;
    return Array.from({ length: this.queues }, (_, i) => ({
      tun: numbers[3 * i] ?? -1,
      socketV4: orNull(numbers[3 * i + 1]),
      socketV6: orNull(numbers[3 * i + 2]),
    }));
  }

  setPeers(peers: readonly UdpPeer[]): void {
    const result = this.#symbols.denim_udp_peers(this.#running(), encodePeers(peers), peers.length);
    if (result < 0) throw new Failure(`set the peers of "${this.name}": ${describeErrno(result)}`);
  }

  statistics(): UdpStatistics {
    const { count } = this.#read(0);
    const { view, peers } = this.#read(count);
    return decodeStatistics(view, peers, count);
  }

  release(): UdpDescriptors[] {
    const kept = this.descriptors();
    this.#stop(1);
    return kept;
  }

  [Symbol.dispose](): void {
    if (this.#handle !== null) this.#stop(0);
  }

  #stop(keep: number): void {
    this.#symbols.denim_udp_stop(this.#running(), keep);
    this.#handle = null;
    this.#pipe.destroy();
    this.#end(null);
  }
}

function encodeSettings(options: UdpTunnelOptions): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(UDP_SETTINGS.size);
  const view = new DataView(bytes.buffer);
  const queues = options.queues ?? 1;
  const name = new TextEncoder().encode(options.name);
  if (name.length >= NAME_SIZE) throw refusal(options, "the name is longer than 15 bytes");
  if (!isPort(options.port)) throw refusal(options, `${options.port} is no port`);
  if (!(queues >= 1 && queues <= UDP_QUEUES)) {
    throw refusal(options, `${queues} queues; 1 to ${UDP_QUEUES} can be`);
  }
  view.setUint32(UDP_SETTINGS.queues, queues, true);
  view.setUint32(UDP_SETTINGS.without, mask(options.without ?? []), true);
  view.setUint16(UDP_SETTINGS.port, options.port, true);
  bytes.set(name, UDP_SETTINGS.name);
  for (const address of options.underlay) {
    put(options, bytes, address, UDP_SETTINGS.addressV4, UDP_SETTINGS.addressV6, UDP_SETTINGS.bindV4);
  }
  for (const address of options.icmpSources ?? []) {
    put(options, bytes, address, UDP_SETTINGS.sourceV4, UDP_SETTINGS.sourceV6, UDP_SETTINGS.hasSourceV4);
  }
  for (let i = 0; i < UDP_QUEUES; i++) {
    const given = options.descriptors?.[i];
    view.setInt32(UDP_SETTINGS.tun + 4 * i, given?.tun ?? -1, true);
    view.setInt32(UDP_SETTINGS.socketV4 + 4 * i, given?.socketV4 ?? -1, true);
    view.setInt32(UDP_SETTINGS.socketV6 + 4 * i, given?.socketV6 ?? -1, true);
  }
  return bytes;
}

/** An address at the place of its family; the flag of IPv6 stands behind that of IPv4. */
function put(
  options: UdpTunnelOptions,
  bytes: Uint8Array,
  address: string,
  v4: number,
  v6: number,
  flag: number,
): void {
  const scratch = new Uint8Array(16);
  const family = writeIp(scratch, 0, address);
  if (family === 0) throw refusal(options, `"${address}" is no IP address`);
  bytes.set(scratch, family === 4 ? v4 : v6);
  bytes[family === 4 ? flag : flag + 1] = 1;
}

function refusal(options: UdpTunnelOptions, why: string): Failure {
  return new Failure(`open the UDP tunnel "${options.name}": ${why}`);
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

function mask(features: readonly UdpFeature[]): number {
  return features.reduce((all, feature) => all | UDP_FEATURE[feature], 0);
}

function encodePeers(peers: readonly UdpPeer[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(peers.length * UDP_PEER.size);
  const view = new DataView(bytes.buffer);
  peers.forEach((peer, i) => {
    const at = i * UDP_PEER.size;
    const [subnet = "", length = ""] = peer.subnet.split("/");
    const family = writeIp(bytes, at + UDP_PEER.subnet, subnet);
    const underlay = writeIp(bytes, at + UDP_PEER.address, peer.address);
    if (family === 0 || !/^\d{1,3}$/.test(length) || Number(length) > (family === 4 ? 32 : 128)) {
      throw new Failure(`set the peer "${peer.address}": "${peer.subnet}" is no subnet`);
    }
    if (underlay === 0 || !isPort(peer.port)) {
      throw new Failure(
        `set the peer of "${peer.subnet}": "${peer.address}" port ${peer.port} is no address and port`,
      );
    }
    bytes[at + UDP_PEER.family] = family;
    bytes[at + UDP_PEER.length] = Number(length);
    bytes[at + UDP_PEER.underlayFamily] = underlay;
    view.setUint16(at + UDP_PEER.port, peer.port, true);
    view.setUint16(at + UDP_PEER.mtu, Math.min(peer.mtu, 65535), true);
  });
  return bytes;
}

function decodeStatistics(view: DataView, peers: DataView, count: number): UdpStatistics {
  const number = (at: number) => Number(view.getBigUint64(at, true));
  const features = view.getUint32(UDP_STATS.features, true);
  return {
    sentPackets: number(UDP_STATS.sentPackets),
    sentBytes: number(UDP_STATS.sentBytes),
    sentMessages: number(UDP_STATS.sentMessages),
    receivedPackets: number(UDP_STATS.receivedPackets),
    receivedBytes: number(UDP_STATS.receivedBytes),
    receivedMessages: number(UDP_STATS.receivedMessages),
    deviceReads: number(UDP_STATS.deviceReads),
    deviceWrites: number(UDP_STATS.deviceWrites),
    icmpSent: number(UDP_STATS.icmpSent),
    drops: Object.fromEntries(
      Object.entries(UDP_DROP).map(([reason, i]) => [reason, number(UDP_STATS.drops + 8 * i)]),
    ) as Record<UdpDrop, number>,
    features: (Object.keys(UDP_FEATURE) as UdpFeature[]).filter((f) => (features & UDP_FEATURE[f]) !== 0),
    peers: Array.from({ length: count }, (_, i) => decodePeer(peers, i * UDP_PEER_STATS.size)),
  };
}

function decodePeer(view: DataView, at: number): UdpPeerStatistics {
  const number = (offset: number) => Number(view.getBigUint64(at + offset, true));
  return {
    sentPackets: number(UDP_PEER_STATS.sentPackets),
    sentBytes: number(UDP_PEER_STATS.sentBytes),
    receivedPackets: number(UDP_PEER_STATS.receivedPackets),
    receivedBytes: number(UDP_PEER_STATS.receivedBytes),
    alone: view.getUint32(at + UDP_PEER_STATS.alone, true) !== 0,
  };
}

function text(view: DataView, at: number): string {
  const bytes = new Uint8Array(view.buffer, at, NAME_SIZE);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? NAME_SIZE : end));
}
