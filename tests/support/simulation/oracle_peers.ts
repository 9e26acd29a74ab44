/**
 * Who is a peer of whom, read from the keys and values in etcd by the rules as documented: inside the network, nothing of
 * ours, the older of two claims to one thing.
 */
import { formatLeaseKey } from "../../../src/model/lease_codec.ts";
import type { KeyValue } from "../../../src/store/etcd/v3/remote.ts";
import type { SimHost } from "./host.ts";
import { isRecord, nameOf, SUBNET6 } from "./records.ts";
import { recordType, type World } from "./world.ts";

export interface Subnet {
  readonly family: 4 | 6;
  /** `10.1.7.0`. */
  readonly address: string;
  readonly length: number;
  /** `10.1.7.0/24`. */
  readonly text: string;
}

export interface Peer {
  readonly key: string;
  /** The id of the host that wrote it, where it has one. */
  readonly host: string | null;
  readonly subnets: readonly Subnet[];
  readonly publicIp: string | null;
  readonly publicIpv6: string | null;
  readonly type: string;
  readonly mac: string | null;
  readonly macV6: string | null;
}

/** `own`: the host's subnets. */
export function peersOf(world: World, host: SimHost, own: readonly Subnet[]): Peer[] {
  const isAt = ({ subnets }: Peer, at: readonly Subnet[]) =>
    subnets.map(({ text }) => text).join() === at.map(({ text }) => text).join();
  const all = records(world);
  const id = all.find((peer) => isAt(peer, own))?.host ?? null;
  const candidates = withoutLeftOvers(all)
    .filter((peer) => !isAt(peer, own) && (id === null || peer.host !== id))
    .map((peer) => ({
      ...peer,
      subnets: peer.subnets.filter(({ family }) => world.network.families.includes(family)),
    }))
    .filter((peer) => acceptable(world, host, own, peer));
  const accepted: Peer[] = [];
  const tunnels = new Tunnels(world, host);
  for (const peer of candidates) {
    if (!accepted.some((older) => clash(older, peer)) && tunnels.take(peer)) accepted.push(peer);
  }
  return accepted;
}

/** Of several records with one id the youngest counts; the others were left behind. */
function withoutLeftOvers(oldestFirst: readonly Peer[]): Peer[] {
  return oldestFirst.filter(({ host }, i) =>
    host === null || !oldestFirst.slice(i + 1).some((younger) => younger.host === host)
  );
}

/** Subnets of records that can't be read, or contradict each other. */
export function outsiders(world: World): Subnet[] {
  return keyValues(world).flatMap((kv) =>
    parse(kv) === null || isContradicted(world, kv) ? subnetsAt(kv) : []
  );
}

/** Every readable record, oldest first. */
export function records(world: World): Peer[] {
  return keyValues(world).flatMap((kv) => isContradicted(world, kv) ? [] : parse(kv) ?? []);
}

/**
 * Half a record, of a host that died as another, or between its two writes: whichever half a host heard of first, or looks at,
 * counts there.
 */
export function isContradicted(world: World, { key, value }: KeyValue): boolean {
  const { api, models, sameIds, hosts } = world;
  if (api !== "both") return false;
  const lives = hosts.some(({ overlay }) =>
    overlay !== null && formatLeaseKey(overlay.lease.subnets) === nameOf(key)
  );
  return models.some(({ keys }) => {
    const other = keys.get(key)?.value ?? value;
    if (other.includes('"Mirror"')) return false;
    return (sameIds && runIn(other) !== runIn(value)) || (!lives && addressIn(other) !== addressIn(value));
  });
}

function addressIn(value: string): string | undefined {
  return /"PublicIP":"([^"]*)"/.exec(value)?.[1];
}

function runIn(value: string): string | undefined {
  return /"Run":"([^"]*)"/.exec(value)?.[1];
}

/** Every record, in whichever API its host has written it; mirrors say nothing of their own. */
function keyValues({ api, models }: World): KeyValue[] {
  const all = models.flatMap((model) => [...model.keys.values()]).filter(({ key, value }) =>
    isRecord(key) && !(api === "both" && value.includes('"Mirror"'))
  );
  const byKey = new Map(all.reverse().map((kv) => [kv.key, kv]));
  return [...byKey.values()].sort((a, b) => a.createRevision - b.createRevision);
}

/** Null for what can't be read. Schedules write no other odd values than those that are told apart here. */
export function parse(kv: KeyValue): Peer | null {
  const subnets = subnetsAt(kv);
  if (subnets.length === 0 || kv.value.length > 65_536 || !kv.value.startsWith("{")) return null;
  try {
    const value = JSON.parse(kv.value);
    if (typeof value.PublicIP !== "string") return null;
    return {
      key: kv.key,
      host: typeof value.Host === "string" ? value.Host : null,
      subnets,
      publicIp: value.PublicIP,
      publicIpv6: value.PublicIPv6 ?? null,
      type: value.BackendType ?? "",
      mac: value.BackendData?.VtepMAC ?? null,
      macV6: value.BackendV6Data?.VtepMAC ?? null,
    };
  } catch {
    return null;
  }
}

/** None where the key is not what it should be in its place: of IPv6 alone, or with an IPv4 subnet first. */
function subnetsAt({ key }: KeyValue): Subnet[] {
  const subnets = subnetsIn(nameOf(key));
  const alone = subnets.every(({ family }) => family === 6);
  return alone === key.startsWith(SUBNET6) ? subnets : [];
}

export function subnetsIn(name: string): Subnet[] {
  return name.split("&").flatMap((part) => {
    const match = /^(\d+\.\d+\.\d+\.0|[0-9a-f:]+::)-(\d+)$/.exec(part);
    if (match === null) return [];
    const [address, length] = [match[1]!, Number(match[2])];
    return [{
      family: address.includes(":") ? 6 as const : 4 as const,
      address,
      length,
      text: `${address}/${length}`,
    }];
  });
}

function acceptable(world: World, host: SimHost, own: readonly Subnet[], peer: Peer): boolean {
  const network = world.network.v4.replace(".0.0/16", ".");
  if (peer.type !== recordType(world.network)) return false;
  for (const subnet of peer.subnets) {
    const inside = subnet.family === 4
      ? subnet.address.startsWith(network) && subnet.length > 16
      : subnet.address.startsWith("fd00:10:0:") && subnet.length > 48;
    if (!inside || own.some((ours) => overlap(ours, subnet))) return false;
  }
  return peer.subnets.every(({ family }) => {
    const address = (family === 4 ? peer.publicIp : peer.publicIpv6) ?? "";
    return address !== addressOf(host, family) && !ODD.test(address) &&
      !address.startsWith(family === 4 ? network : "fd00:10:0:");
  });
}

/** Addresses that no host can have. */
const ODD = /^(127\.|224\.|ff02:|::1$)/;

/** The younger gives way where both claim one subnet. */
function clash(older: Peer, younger: Peer): boolean {
  return older.subnets.some((a) => younger.subnets.some((b) => overlap(a, b)));
}

/** A tunnel leads to an address of each family that the peer has a subnet of. */
function hasAddresses({ subnets, publicIp, publicIpv6 }: Peer): boolean {
  return subnets.every(({ family }) => (family === 4 ? publicIp : publicIpv6) !== null);
}

/**
 * Of two peers with one MAC on one device and different addresses, the older gets the tunnel; a peer without a usable MAC gets
 * none, and keeps nothing from others. What one family can't have, the other does not get.
 */
class Tunnels {
  /** Where each MAC leads, by `4 02:…`. */
  readonly #taken = new Map<string, string>();

  constructor(private readonly world: World, private readonly host: SimHost) {}

  /** False where the peer can't have what it needs. */
  take(peer: Peer): boolean {
    const { type } = this.world.network;
    if (type === "udp") return hasAddresses(peer);
    const tunnels = this.#tunnels(peer);
    if (type === "host-gw") return tunnels.length === 0;
    if (tunnels.some(([tunnel, address]) => !this.#isFree(tunnel, address))) return false;
    for (const [tunnel, address] of tunnels) this.#taken.set(tunnel, address);
    return true;
  }

  #tunnels({ subnets, publicIp, publicIpv6, mac, macV6 }: Peer): [tunnel: string, address: string][] {
    return subnets.flatMap(({ family }) => {
      const address = family === 4 ? publicIp : publicIpv6;
      if (address !== null && isDirect(this.world, this.host, address)) return [];
      return [[`${family} ${family === 4 ? mac : macV6}`, address ?? ""]];
    });
  }

  #isFree(tunnel: string, address: string): boolean {
    const own = this.host.kernel.get("link", deviceName(this.world, tunnel))?.fields.mac;
    if (!/^[46] [0-9a-f][02468ace]:/.test(tunnel) || tunnel.endsWith(` ${own}`)) return false;
    return (this.#taken.get(tunnel) ?? address) === address;
  }
}

/** The device of a tunnel of the form `4 02:…` or `6 02:…`. */
function deviceName({ network: { vni } }: World, tunnel: string): string {
  return tunnel.startsWith("4") ? `flannel.${vni}` : `flannel-v6.${vni}`;
}

/** True where a plain route through the underlay leads to a peer. */
export function isDirect({ network }: World, { underlay }: SimHost, publicIp: string): boolean {
  const direct = network.type === "host-gw" || (network.type === "vxlan" && network.direct);
  return direct && !underlay.distant.has(publicIp);
}

function overlap(a: Subnet, b: Subnet): boolean {
  if (a.family !== b.family) return false;
  if (a.family === 6) return a.address === b.address;
  const mask = Math.min(a.length, b.length);
  return bits(a.address).slice(0, mask) === bits(b.address).slice(0, mask);
}

function bits(address: string): string {
  return address.split(".").map((octet) => Number(octet).toString(2).padStart(8, "0")).join("");
}

function addressOf({ underlay }: SimHost, family: 4 | 6): string {
  return family === 4 ? text(underlay.v4.value) : underlay6(underlay.v6.value);
}

function text(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String(value >> shift & 255n)).join(".");
}

/** Of `fd00:64::x` alone, which all addresses of simulated underlays are. */
function underlay6(value: bigint): string {
  return `fd00:64::${(value & 0xffffn).toString(16)}`;
}
