/** Options, peers and figures of the userspace UDP datapath as the records of `native/denim.h`, and back. */
import { Failure } from "../src/model/errors.ts";
import { describeErrno } from "./errno.ts";
import { readIp, writeIp } from "./ip_text.ts";
import {
  NAME_SIZE,
  UDP_DROP,
  UDP_FEATURE,
  UDP_ICMP,
  UDP_PEER,
  UDP_PEER_STATS,
  UDP_QUEUES,
  UDP_SENDER,
  UDP_SETTINGS,
  UDP_SOURCES,
  UDP_STATS,
} from "./layout.ts";
import type {
  UdpDescriptors,
  UdpDrop,
  UdpFeature,
  UdpMeans,
  UdpPeer,
  UdpPeerStatistics,
  UdpSender,
  UdpStatistics,
  UdpTunnelOptions,
  UdpTunnelSettings,
} from "./udp_tunnel.ts";

const senders = Object.keys(UDP_SENDER) as UdpSender[];

/** The options with everything that was left out. */
export function settingsOf(options: UdpTunnelOptions): UdpTunnelSettings {
  return {
    name: options.name,
    port: options.port,
    underlay: [...options.underlay],
    icmpSources: [...options.icmpSources ?? []],
    queues: options.queues ?? 1,
    without: [...options.without ?? []],
    sender: options.sender ?? "socket",
    sources: options.sources ?? 16,
    acceptMoved: options.acceptMoved ?? false,
    plain: options.plain ?? false,
  };
}

/** @throws {Failure} where they make no sense */
export function encodeSettings(
  settings: UdpTunnelSettings,
  descriptors: readonly UdpDescriptors[] = [],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(UDP_SETTINGS.size);
  const view = new DataView(bytes.buffer);
  const name = new TextEncoder().encode(settings.name);
  checkSettings(settings, name);
  view.setUint32(UDP_SETTINGS.queues, settings.queues, true);
  view.setUint32(UDP_SETTINGS.without, mask(settings.without), true);
  view.setUint32(UDP_SETTINGS.sources, settings.sources, true);
  view.setUint16(UDP_SETTINGS.port, settings.port, true);
  bytes[UDP_SETTINGS.sender] = UDP_SENDER[settings.sender];
  bytes[UDP_SETTINGS.acceptMoved] = Number(settings.acceptMoved);
  bytes[UDP_SETTINGS.plain] = Number(settings.plain);
  bytes.set(name, UDP_SETTINGS.name);
  const { addressV4, addressV6, bindV4 } = UDP_SETTINGS;
  for (const address of settings.underlay) {
    if (!put(bytes, address, addressV4, addressV6, bindV4)) {
      throw refusal(settings, `"${address}" is no IP address`);
    }
  }
  for (let i = 0; i < UDP_QUEUES; i++) {
    const given = descriptors[i];
    view.setInt32(UDP_SETTINGS.tun + 4 * i, given?.tun ?? -1, true);
    view.setInt32(UDP_SETTINGS.socketV4 + 4 * i, given?.socketV4 ?? -1, true);
    view.setInt32(UDP_SETTINGS.socketV6 + 4 * i, given?.socketV6 ?? -1, true);
  }
  return bytes;
}

function checkSettings(settings: UdpTunnelSettings, name: Uint8Array): void {
  const { port, queues, sources } = settings;
  if (name.length >= NAME_SIZE) throw refusal(settings, "the name is longer than 15 bytes");
  if (!isPort(port)) throw refusal(settings, `${port} is no port`);
  if (!isCount(queues, UDP_QUEUES)) throw refusal(settings, `${queues} queues; 1 to ${UDP_QUEUES} can be`);
  if (!isCount(sources, UDP_SOURCES)) {
    throw refusal(settings, `${sources} source ports; 1 to ${UDP_SOURCES} can be`);
  }
}

/** @throws {Failure} where one is no address */
export function encodeIcmpSources(name: string, addresses: readonly string[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(UDP_ICMP.size);
  for (const address of addresses) {
    if (!put(bytes, address, UDP_ICMP.addressV4, UDP_ICMP.addressV6, UDP_ICMP.hasV4)) {
      throw new Failure(`set the ICMP sources of "${name}": "${address}" is no IP address`);
    }
  }
  return bytes;
}

/** An address at the place of its family; the flag of IPv6 stands behind that of IPv4. False where it is none. */
function put(bytes: Uint8Array, address: string, v4: number, v6: number, flag: number): boolean {
  const scratch = new Uint8Array(16);
  const family = writeIp(scratch, 0, address);
  if (family === 0) return false;
  bytes.set(scratch, family === 4 ? v4 : v6);
  bytes[family === 4 ? flag : flag + 1] = 1;
  return true;
}

function refusal(settings: UdpTunnelSettings, why: string): Failure {
  return new Failure(`open the UDP tunnel "${settings.name}": ${why}`);
}

function isCount(count: number, most: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= most;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

function mask(features: readonly UdpFeature[]): number {
  return features.reduce((all, feature) => all | UDP_FEATURE[feature], 0);
}

/** @throws {Failure} naming the peer that cannot be */
export function encodePeers(peers: readonly UdpPeer[]): Uint8Array<ArrayBuffer> {
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

export function decodeStatistics(view: DataView, peers: DataView, count: number): UdpStatistics {
  const number = (at: number) => Number(view.getBigUint64(at, true));
  return {
    ...decodeMeans(view),
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
    peers: Array.from({ length: count }, (_, i) => decodePeer(peers, i * UDP_PEER_STATS.size)),
  };
}

export function decodeMeans(view: DataView): UdpMeans {
  const features = view.getUint32(UDP_STATS.features, true);
  const refused = view.getInt32(UDP_STATS.senderError, true);
  return {
    features: (Object.keys(UDP_FEATURE) as UdpFeature[]).filter((f) => (features & UDP_FEATURE[f]) !== 0),
    sender: senders[view.getUint32(UDP_STATS.sender, true)] ?? "socket",
    senderRefused: refused === 0 ? null : describeErrno(refused),
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
    moved: readMoved(view, at),
  };
}

function readMoved(view: DataView, at: number): string | null {
  const family = view.getUint8(at + UDP_PEER_STATS.movedFamily);
  return family === 0 ? null : readIp(new Uint8Array(view.buffer), at + UDP_PEER_STATS.moved, family);
}

/** NUL-terminated text of NAME_SIZE bytes. */
export function decodeName(view: DataView, at: number): string {
  const bytes = new Uint8Array(view.buffer, at, NAME_SIZE);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? NAME_SIZE : end));
}
