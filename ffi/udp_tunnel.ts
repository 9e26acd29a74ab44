/**
 * The userspace UDP datapath: the C library's packet threads between a TUN device and UDP sockets.
 *
 * Here are only its start and end, the peers and the figures; no packet passes through JavaScript. The device's addresses,
 * MTU and routes are the caller's business, and so is the network namespace: that of the process. Counters are sums since
 * the start; a peer keeps its own as long as its subnet, address and port stay.
 */
import type { Socket } from "node:net";
import { Failure } from "../src/model/errors.ts";
import { describeErrno, errnoName } from "./errno.ts";
import {
  type UDP_DROP,
  type UDP_FEATURE,
  UDP_PEER_STATS,
  type UDP_SENDER,
  UDP_STAGE,
  UDP_STATS,
} from "./layout.ts";
import type { Library } from "./library.ts";
import { openPipe } from "./pipe.ts";
import {
  decodeMeans,
  decodeName,
  decodeStatistics,
  encodeIcmpSources,
  encodePeers,
  encodeSettings,
  settingsOf,
} from "./udp_codec.ts";

export type UdpFeature = keyof typeof UDP_FEATURE;
/** Why a packet was dropped; `enum denim_udp_drop` in native/denim.h says what each means. */
export type UdpDrop = keyof typeof UDP_DROP;
/**
 * How datagrams leave; every receiver understands all three.
 *
 * `socket`: over the socket that receives, one source port. `pool`: over several sockets, so that the underlay's ECMP and the
 * receiver's queues can tell inner flows apart; a flow keeps its port. `raw`: a source port per flow, packet by packet; it
 * needs CAP_NET_RAW and definite addresses in `underlay`, and falls back to `socket` where it can't be.
 */
export type UdpSender = keyof typeof UDP_SENDER;

/** What one queue is made of; as a service manager keeps them. The sockets of the sender `pool` are not among them: they only send. */
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
  /** As `setIcmpSources`, from the start. */
  readonly icmpSources?: readonly string[];
  /** Threads, each with a queue of the device and sockets of its own; 1 unless told. */
  readonly queues?: number;
  /** What is not to be used even where the kernel has it. */
  readonly without?: readonly UdpFeature[];
  /** `socket` unless told. */
  readonly sender?: UdpSender;
  /** Source ports of the sender `pool`; 16 unless told, 64 at most. */
  readonly sources?: number;
  /**
   * Takes a peer's packets also from another address than its public one: the first that one with an inner source of the
   * peer's subnet came from, until the peer's record changes. What goes to the peer still goes to its public address.
   */
  readonly acceptMoved?: boolean;
  /**
   * One packet a system call each way, without any feature of the kernel's: what a simple forwarder does, with all checks.
   * A device that was opened so cannot be used by a tunnel that was not, nor the other way round.
   */
  readonly plain?: boolean;
  /** Descriptors of a former tunnel with the same options, one entry a queue: used instead of opening new ones. */
  readonly descriptors?: readonly UdpDescriptors[];
}

/** What a tunnel was opened with, nothing left out, its ICMP sources as they are now. */
export type UdpTunnelSettings = Required<Omit<UdpTunnelOptions, "descriptors">>;

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
  /** The address accepted beside the peer's own (`acceptMoved`); null while there is none. */
  readonly moved: string | null;
}

/** How packets are carried: what was found usable so far. */
export interface UdpMeans {
  readonly features: readonly UdpFeature[];
  /** In use. */
  readonly sender: UdpSender;
  /** Why it is not the sender that was asked for; null where it is. */
  readonly senderRefused: string | null;
}

export interface UdpStatistics extends UdpMeans {
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
  /** In the order in which they were set. */
  readonly peers: readonly UdpPeerStatistics[];
}

export interface UdpTunnel extends Disposable {
  /** The device's name as the kernel has it. */
  readonly name: string;
  /** Resolves with what happened once a thread ended by itself (its device was deleted); null after a normal stop. */
  readonly ended: Promise<Failure | null>;
  readonly settings: UdpTunnelSettings;
  readonly descriptors: () => UdpDescriptors[];
  /**
   * From now on these are the peers, all at once.
   *
   * @throws {Failure} where one cannot be (the former peers stay then), naming it
   */
  readonly setPeers: (peers: readonly UdpPeer[]) => void;
  /**
   * From now on ICMP errors come from these addresses, at most one of each family; none are sent for a family without.
   *
   * @throws {Failure} where one is no address (the former stay then)
   */
  readonly setIcmpSources: (addresses: readonly string[]) => void;
  readonly statistics: () => UdpStatistics;
  /** The same without counters: takes no longer for more peers. */
  readonly means: () => UdpMeans;
  /** Ends the threads but leaves the descriptors open, the caller's from now on: the device stays. */
  readonly release: () => UdpDescriptors[];
}

/**
 * Opens what is needed. Packets wait in the queues of the device and the sockets until the first `setPeers`. Descriptors that
 * are handed in are the tunnel's from then on, but for a failure: then all of them are open and still the caller's.
 *
 * @throws {Failure} where the options make no sense or the kernel refuses
 */
export function openUdpTunnel(library: Library, options: UdpTunnelOptions): UdpTunnel {
  const settings = settingsOf(options);
  const icmp = encodeIcmpSources(settings.name, settings.icmpSources);
  const error = new Int32Array(2);
  const handle = library.symbols.denim_udp_start(encodeSettings(settings, options.descriptors), error);
  if (handle === null) {
    throw new Failure(`open the UDP tunnel "${settings.name}": ${describeRefusal(settings, error)}`);
  }
  let pipe: Socket | null = null;
  try {
    pipe = openPipe(library, library.symbols.denim_udp_pipe(handle));
    const result = library.symbols.denim_udp_icmp_sources(handle, icmp);
    if (result < 0) throw new Failure(`open the UDP tunnel "${settings.name}": ${describeErrno(result)}`);
    return new Running(library, handle, settings, pipe);
  } catch (error) {
    pipe?.destroy();
    giveUp(library, handle, options);
    throw error;
  }
}

/** Ends what was just started: what it opened itself is closed, what was handed in is left. */
function giveUp(
  { symbols }: Library,
  handle: Deno.PointerObject,
  { queues = 1, descriptors }: UdpTunnelOptions,
) {
  const handed = new Set(descriptors?.flatMap(({ tun, socketV4, socketV6 }) => [tun, socketV4, socketV6]));
  const numbers = new Int32Array(3 * queues);
  symbols.denim_udp_descriptors(handle, numbers, numbers.length);
  symbols.denim_udp_stop(handle, 1);
  for (const fd of numbers) if (fd >= 0 && !handed.has(fd)) symbols.denim_close_descriptor(fd);
}

/** What could not be opened, why, and what would help where the number alone does not say it. */
function describeRefusal(settings: UdpTunnelSettings, [errno = 0, stage]: Int32Array): string {
  const why = describeErrno(errno);
  switch (stage) {
    case UDP_STAGE.device:
      return `open the device through "/dev/net/tun": ${why}${deviceAdvice[errnoName(errno)] ?? ""}`;
    case UDP_STAGE.v4:
    case UDP_STAGE.v6: {
      const address = settings.underlay.find((a) => a.includes(":") === (stage === UDP_STAGE.v6));
      return `receive at "${address}" port ${settings.port}: ${why}${socketAdvice[errnoName(errno)] ?? ""}`;
    }
    default:
      return why;
  }
}

const noTun = "; load the kernel module tun, or let the container have that device";
const deviceAdvice: Readonly<Record<string, string>> = {
  ENOENT: noTun,
  ENODEV: noTun,
  ENXIO: noTun,
  EBUSY: "; another program uses the device of that name, or it was made for another number of queues",
  EINVAL: "; there is a device of that name and of another kind, or the one handed in is of another kind",
};

const socketAdvice: Readonly<Record<string, string>> = {
  EADDRINUSE: "; choose another port, or stop what listens there",
  EADDRNOTAVAIL: "; give an address of this host",
};

class Running implements UdpTunnel {
  readonly name: string;
  readonly ended: Promise<Failure | null>;
  readonly #symbols: Library["symbols"];
  readonly #pipe: Socket;
  #handle: Deno.PointerObject | null;
  #end: (failure: Failure | null) => void = () => {};

  #settings: UdpTunnelSettings;

  constructor(
    library: Library,
    handle: Deno.PointerObject,
    settings: UdpTunnelSettings,
    pipe: Socket,
  ) {
    this.#symbols = library.symbols;
    this.#handle = handle;
    this.#settings = settings;
    const { view } = this.#read(0);
    this.name = decodeName(view, UDP_STATS.name);
    this.ended = new Promise((resolve) => this.#end = resolve);
    this.#pipe = pipe;
    this.#pipe.on("data", () => this.#fail());
    this.#pipe.on("error", () => {});
  }

  get settings(): UdpTunnelSettings {
    return this.#settings;
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
    const numbers = new Int32Array(3 * this.#settings.queues);
    this.#symbols.denim_udp_descriptors(this.#running(), numbers, numbers.length);
    const orNull = (fd: number | undefined) => fd === undefined || fd < 0 ? null : fd;
    return Array.from({ length: this.#settings.queues }, (_, i) => ({
      tun: numbers[3 * i] ?? -1,
      socketV4: orNull(numbers[3 * i + 1]),
      socketV6: orNull(numbers[3 * i + 2]),
    }));
  }

  setPeers(peers: readonly UdpPeer[]): void {
    const result = this.#symbols.denim_udp_peers(this.#running(), encodePeers(peers), peers.length);
    if (result < 0) throw new Failure(`set the peers of "${this.name}": ${describeErrno(result)}`);
  }

  setIcmpSources(addresses: readonly string[]): void {
    const sources = encodeIcmpSources(this.name, addresses);
    const result = this.#symbols.denim_udp_icmp_sources(this.#running(), sources);
    if (result < 0) throw new Failure(`set the ICMP sources of "${this.name}": ${describeErrno(result)}`);
    this.#settings = { ...this.#settings, icmpSources: [...addresses] };
  }

  statistics(): UdpStatistics {
    const { count } = this.#read(0);
    const { view, peers } = this.#read(count);
    return decodeStatistics(view, peers, count);
  }

  means(): UdpMeans {
    return decodeMeans(this.#read(0).view);
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
