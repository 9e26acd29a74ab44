/**
 * Records between TypeScript values and the flat bytes that the C library reads and writes. The layout is `layout.ts`.
 *
 * Decoding is written for tens of thousands of records: one DataView a buffer, no intermediate objects. A record that cannot
 * be encoded (text that is no address, too long a name, a port that is none) gets verb 0, which the library answers with EINVAL: it fails
 * alone.
 */
import {
  ADDRESS,
  ALIAS_SIZE,
  CHANGE,
  CHANGE_FLAG,
  CHANGE_KIND,
  HEAD,
  LINK,
  NAME_SIZE,
  NEIGHBOUR,
  NEXTHOP,
  PREFIX,
  ROUTE,
  TYPE_SIZE,
  VERB,
  VXLAN_FLAG,
} from "./layout.ts";
import { readIp, writeIp } from "./ip_text.ts";
import type {
  AddressRecord,
  Change,
  LinkRecord,
  NeighbourRecord,
  NetlinkChange,
  NexthopRecord,
  RouteRecord,
  VxlanRecord,
} from "./records.ts";

/** Records side by side in one buffer. */
export class Records {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;

  constructor(readonly size: number, readonly capacity: number) {
    this.bytes = new Uint8Array(size * capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  result(i: number): number {
    return this.view.getInt32(i * this.size + HEAD.result, true);
  }
}

/** How one kind of record is written and read. `encode` says whether the record makes sense at all. */
export interface Codec<R> {
  readonly size: number;
  encode(to: Records, at: number, record: R): boolean;
  decode(from: Records, at: number): R;
}

export function encodeChanges<R>(codec: Codec<R>, changes: readonly Change<R>[]): Records {
  const out = new Records(codec.size, changes.length);
  changes.forEach(({ verb, record }, i) => {
    const at = i * codec.size;
    const fine = codec.encode(out, at, record);
    out.view.setUint32(at + HEAD.verb, fine ? VERB[verb] : 0, true);
  });
  return out;
}

/** What a read found: the records as bytes and as values. */
export interface Decoded<R> {
  readonly from: Records;
  readonly values: readonly R[];
}

/**
 * The first `count` records as values. A record whose bytes stand in `before` too, at the same place but for what came and
 * went on the way, is the very value of that time: whoever reads again can tell by `===` what is as it was.
 */
export function decodeAll<R>(codec: Codec<R>, from: Records, count: number, before?: Decoded<R>): R[] {
  const out = new Array<R>(count);
  const same = before === undefined ? () => false : sameBytes(from, before.from, codec.size);
  const known = before?.values ?? [];
  let old = 0;
  for (let i = 0; i < count; i++) {
    if (old + 1 < known.length && !same(i, old) && same(i, old + 1)) old++;
    out[i] = old < known.length && same(i, old) ? known[old++]! : codec.decode(from, i * codec.size);
  }
  return out;
}

/** Compares records of two buffers by their numbers. Records are whole words (the C library's layout says so). */
function sameBytes(a: Records, b: Records, size: number): (i: number, j: number) => boolean {
  const words = size / 4;
  const [left, right] = [new Int32Array(a.bytes.buffer), new Int32Array(b.bytes.buffer)];
  return (i, j) => {
    for (let k = 0; k < words; k++) if (left[i * words + k] !== right[j * words + k]) return false;
    return true;
  };
}

export const linkCodec: Codec<LinkRecord> = {
  size: LINK.size,
  encode(to, at, record) {
    const { view } = to;
    view.setUint32(at + LINK.index, record.index, true);
    view.setUint32(at + LINK.mtu, record.mtu, true);
    view.setUint8(at + LINK.up, record.up ? 1 : 0);
    const texts = writeText(to, at + LINK.name, record.name, NAME_SIZE) &&
      writeText(to, at + LINK.type, record.type, TYPE_SIZE) &&
      writeText(to, at + LINK.alias, record.alias, ALIAS_SIZE);
    return texts && writeMac(to, at + LINK.hasMac, at + LINK.mac, record.mac) &&
      encodeVxlan(to, at, record.vxlan);
  },
  decode(from, at) {
    const { view } = from;
    return {
      index: view.getUint32(at + LINK.index, true),
      name: readText(from, at + LINK.name, NAME_SIZE),
      type: readText(from, at + LINK.type, TYPE_SIZE),
      alias: readText(from, at + LINK.alias, ALIAS_SIZE),
      mac: readMac(from, at + LINK.hasMac, at + LINK.mac),
      mtu: view.getUint32(at + LINK.mtu, true),
      up: view.getUint8(at + LINK.up) !== 0,
      vxlan: view.getUint32(at + LINK.hasVxlan, true) === 0 ? null : decodeVxlan(from, at),
    };
  },
};

type VxlanFlag = keyof typeof VXLAN_FLAG;
const vxlanFlags = Object.entries(VXLAN_FLAG) as [VxlanFlag, number][];

function encodeVxlan(to: Records, at: number, vxlan: VxlanRecord | null): boolean {
  if (vxlan === null) return true;
  const { view } = to;
  view.setUint32(at + LINK.hasVxlan, 1, true);
  view.setUint32(at + LINK.vni, vxlan.vni, true);
  view.setUint32(at + LINK.lower, vxlan.lower, true);
  view.setUint32(at + LINK.ageing, vxlan.ageing, true);
  view.setUint16(at + LINK.port, vxlan.port, true);
  view.setUint8(at + LINK.ttl, vxlan.ttl);
  view.setUint8(at + LINK.tos, vxlan.tos);
  const flags = vxlanFlags.reduce((all, [name, flag]) => (vxlan[name] ? all | flag : all), 0);
  view.setUint32(at + LINK.vxlanFlags, flags, true);
  if (vxlan.port > 0xffff || vxlan.ttl > 0xff || vxlan.tos > 0xff) return false;
  return writeAddress(to, at + LINK.localFamily, at + LINK.local, vxlan.local) &&
    writeAddress(to, at + LINK.groupFamily, at + LINK.group, vxlan.group);
}

function decodeVxlan(from: Records, at: number): VxlanRecord {
  const { view } = from;
  const flags = view.getUint32(at + LINK.vxlanFlags, true);
  const switches = Object.fromEntries(vxlanFlags.map(([name, flag]) => [name, (flags & flag) !== 0]));
  return {
    vni: view.getUint32(at + LINK.vni, true),
    lower: view.getUint32(at + LINK.lower, true),
    local: readAddress(from, at + LINK.localFamily, at + LINK.local),
    group: readAddress(from, at + LINK.groupFamily, at + LINK.group),
    port: view.getUint16(at + LINK.port, true),
    ttl: view.getUint8(at + LINK.ttl),
    tos: view.getUint8(at + LINK.tos),
    ageing: view.getUint32(at + LINK.ageing, true),
    ...(switches as Record<VxlanFlag, boolean>),
  };
}

export const addressCodec: Codec<AddressRecord> = {
  size: ADDRESS.size,
  encode(to, at, record) {
    const { view } = to;
    view.setUint32(at + ADDRESS.index, record.index, true);
    view.setUint32(at + ADDRESS.flags, record.flags, true);
    view.setUint8(at + ADDRESS.length, record.length);
    view.setUint8(at + ADDRESS.scope, record.scope);
    const family = writeIp(to.bytes, at + ADDRESS.address, record.address);
    view.setUint8(at + ADDRESS.family, family);
    return fits(record.length, family);
  },
  decode(from, at) {
    const { view } = from;
    return {
      index: view.getUint32(at + ADDRESS.index, true),
      address: readIp(from.bytes, at + ADDRESS.address, view.getUint8(at + ADDRESS.family)),
      length: view.getUint8(at + ADDRESS.length),
      scope: view.getUint8(at + ADDRESS.scope),
      flags: view.getUint32(at + ADDRESS.flags, true),
    };
  },
};

export const routeCodec: Codec<RouteRecord> = {
  size: ROUTE.size,
  encode(to, at, record) {
    const { view } = to;
    view.setUint32(at + ROUTE.index, record.index, true);
    view.setUint32(at + ROUTE.table, record.table, true);
    view.setUint32(at + ROUTE.metric, record.metric, true);
    view.setUint32(at + ROUTE.paths, record.paths, true);
    view.setUint32(at + ROUTE.nexthop, record.nexthop, true);
    view.setUint8(at + ROUTE.protocol, record.protocol);
    view.setUint8(at + ROUTE.scope, record.scope);
    view.setUint8(at + ROUTE.type, record.type);
    view.setUint8(at + ROUTE.tos, record.tos);
    view.setUint8(at + ROUTE.onlink, record.onlink ? 1 : 0);
    return writePrefix(to, destinationAt(at), record.destination) &&
      writeAddress(to, at + ROUTE.gatewayFamily, at + ROUTE.gateway, record.gateway) &&
      writeAddress(to, at + ROUTE.sourceFamily, at + ROUTE.source, record.source);
  },
  decode(from, at) {
    const { bytes, view } = from;
    const family = view.getUint8(at + ROUTE.family);
    return {
      destination: `${readIp(bytes, at + ROUTE.destination, family)}/${view.getUint8(at + ROUTE.length)}`,
      gateway: readAddress(from, at + ROUTE.gatewayFamily, at + ROUTE.gateway),
      index: view.getUint32(at + ROUTE.index, true),
      source: readAddress(from, at + ROUTE.sourceFamily, at + ROUTE.source),
      table: view.getUint32(at + ROUTE.table, true),
      protocol: view.getUint8(at + ROUTE.protocol),
      scope: view.getUint8(at + ROUTE.scope),
      type: view.getUint8(at + ROUTE.type),
      onlink: view.getUint8(at + ROUTE.onlink) !== 0,
      metric: view.getUint32(at + ROUTE.metric, true),
      tos: view.getUint8(at + ROUTE.tos),
      paths: view.getUint32(at + ROUTE.paths, true),
      nexthop: view.getUint32(at + ROUTE.nexthop, true),
    };
  },
};

export const nexthopCodec: Codec<NexthopRecord> = {
  size: NEXTHOP.size,
  encode(to, at, record) {
    const { view } = to;
    view.setUint32(at + NEXTHOP.id, record.id, true);
    view.setUint32(at + NEXTHOP.index, record.index, true);
    view.setUint8(at + NEXTHOP.protocol, record.protocol);
    view.setUint8(at + NEXTHOP.onlink, record.onlink ? 1 : 0);
    view.setUint8(at + NEXTHOP.special, record.special === null ? 0 : SPECIAL[record.special]);
    const fine = writeAddress(to, at + NEXTHOP.gatewayFamily, at + NEXTHOP.gateway, record.gateway);
    to.bytes[at + NEXTHOP.family] = to.bytes[at + NEXTHOP.gatewayFamily]!;
    return fine;
  },
  decode(from, at) {
    const { view } = from;
    return {
      id: view.getUint32(at + NEXTHOP.id, true),
      gateway: readAddress(from, at + NEXTHOP.gatewayFamily, at + NEXTHOP.gateway),
      index: view.getUint32(at + NEXTHOP.index, true),
      onlink: view.getUint8(at + NEXTHOP.onlink) !== 0,
      protocol: view.getUint8(at + NEXTHOP.protocol),
      special: specialOf(view.getUint8(at + NEXTHOP.special)),
    };
  },
};

/** enum denim_nexthop_special. */
const SPECIAL = { blackhole: 1, group: 2, fdb: 4, encapsulation: 8 } as const;
const specials = Object.entries(SPECIAL) as [keyof typeof SPECIAL, number][];

function specialOf(flags: number): NexthopRecord["special"] {
  return specials.find(([, flag]) => (flags & flag) !== 0)?.[0] ?? null;
}

/** A question to RTM_GETROUTE: family, destination and nothing else. */
export function encodeQuestions(addresses: readonly string[]): Records {
  const out = new Records(ROUTE.size, addresses.length);
  addresses.forEach((address, i) => {
    const family = writeIp(out.bytes, i * ROUTE.size + ROUTE.destination, address);
    out.view.setUint8(i * ROUTE.size + ROUTE.family, family);
  });
  return out;
}

/** Where the parts of a prefix are. */
interface PrefixPlace {
  readonly family: number;
  readonly length: number;
  readonly address: number;
}

function destinationAt(at: number): PrefixPlace {
  return { family: at + ROUTE.family, length: at + ROUTE.length, address: at + ROUTE.destination };
}

function writePrefix(to: Records, at: PrefixPlace, text: string): boolean {
  const slash = text.indexOf("/");
  if (slash < 0) return false;
  const family = writeIp(to.bytes, at.address, text.slice(0, slash));
  const length = text.slice(slash + 1);
  to.view.setUint8(at.family, family);
  to.view.setUint8(at.length, Number(length));
  return /^\d{1,3}$/.test(length) && fits(Number(length), family);
}

/** What is no prefix has no family: nothing lies in it. */
export function encodePrefixes(prefixes: readonly string[]): Records {
  const out = new Records(PREFIX.size, prefixes.length);
  prefixes.forEach((prefix, i) => {
    const at = i * PREFIX.size;
    const place = { family: at + PREFIX.family, length: at + PREFIX.length, address: at + PREFIX.address };
    if (!writePrefix(out, place, prefix)) out.view.setUint8(place.family, 0);
  });
  return out;
}

export const neighbourCodec: Codec<NeighbourRecord> = {
  size: NEIGHBOUR.size,
  encode(to, at, record) {
    const { view } = to;
    view.setUint32(at + NEIGHBOUR.index, record.index, true);
    view.setUint16(at + NEIGHBOUR.state, record.state, true);
    view.setUint8(at + NEIGHBOUR.flags, record.flags);
    view.setUint8(at + NEIGHBOUR.protocol, record.protocol);
    view.setUint8(at + NEIGHBOUR.table, TABLE[record.table]);
    const fine = writeAddress(to, at + NEIGHBOUR.addressFamily, at + NEIGHBOUR.address, record.address) &&
      writeMac(to, at + NEIGHBOUR.hasMac, at + NEIGHBOUR.mac, record.mac);
    return fine &&
      (record.table === "fdb" || view.getUint8(at + NEIGHBOUR.addressFamily) === TABLE[record.table]);
  },
  decode(from, at) {
    const { view } = from;
    return {
      table: TABLE_NAME[view.getUint8(at + NEIGHBOUR.table)] ?? "fdb",
      index: view.getUint32(at + NEIGHBOUR.index, true),
      address: readAddress(from, at + NEIGHBOUR.addressFamily, at + NEIGHBOUR.address),
      mac: readMac(from, at + NEIGHBOUR.hasMac, at + NEIGHBOUR.mac),
      state: view.getUint16(at + NEIGHBOUR.state, true),
      flags: view.getUint8(at + NEIGHBOUR.flags),
      protocol: view.getUint8(at + NEIGHBOUR.protocol),
    };
  },
};

/** What a monitor hands over. */
export function decodeChange(from: Records, at: number): NetlinkChange {
  const { view } = from;
  const flags = view.getUint32(at + CHANGE.flags, true);
  const has = (flag: keyof typeof CHANGE_FLAG) => (flags & CHANGE_FLAG[flag]) !== 0;
  const [gone, replaces, own] = [has("gone"), has("replaces"), has("own")];
  switch (view.getUint32(at + CHANGE.kind, true)) {
    case CHANGE_KIND.route:
      return { kind: "route", gone, replaces, own, record: routeCodec.decode(from, at + CHANGE.route) };
    case CHANGE_KIND.nexthop:
      return { kind: "nexthop", gone, replaces, own, record: nexthopCodec.decode(from, at + CHANGE.nexthop) };
    case CHANGE_KIND.neighbour: {
      const record = neighbourCodec.decode(from, at + CHANGE.neighbour);
      return { kind: "neighbour", gone, replaces, own, record };
    }
    case CHANGE_KIND.link:
      return { kind: "link", gone, up: has("up"), index: view.getUint32(at + CHANGE.index, true) };
    default:
      return { kind: "address", index: view.getUint32(at + CHANGE.index, true) };
  }
}

/** enum denim_table. */
const TABLE = { v4: 4, v6: 6, fdb: 7 } as const;
const TABLE_NAME: Readonly<Record<number, NeighbourRecord["table"]>> = { 4: "v4", 6: "v6", 7: "fdb" };

function fits(length: number, family: number): boolean {
  return family !== 0 && length <= (family === 4 ? 32 : 128);
}

function writeAddress(to: Records, familyAt: number, at: number, address: string | null): boolean {
  if (address === null) return true;
  const family = writeIp(to.bytes, at, address);
  to.view.setUint8(familyAt, family);
  return family !== 0;
}

function readAddress(from: Records, familyAt: number, at: number): string | null {
  const family = from.bytes[familyAt] ?? 0;
  return family === 0 ? null : readIp(from.bytes, at, family);
}

/** "00" … "ff". */
const octets = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

function writeMac(to: Records, hasAt: number, at: number, mac: string | null): boolean {
  if (mac === null) return true;
  to.bytes[hasAt] = 1;
  for (let i = 0; i < 6; i++) to.bytes[at + i] = parseInt(mac.slice(3 * i, 3 * i + 2), 16);
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac);
}

function readMac(from: Records, hasAt: number, at: number): string | null {
  const { bytes } = from;
  if (bytes[hasAt] === 0) return null;
  const octet = (i: number) => octets[bytes[at + i] ?? 0];
  return `${octet(0)}:${octet(1)}:${octet(2)}:${octet(3)}:${octet(4)}:${octet(5)}`;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** False where the text and its NUL need more than `size` bytes. */
function writeText(to: Records, at: number, text: string, size: number): boolean {
  const bytes = encoder.encode(text);
  if (bytes.length >= size || text.includes("\0")) return false;
  to.bytes.set(bytes, at);
  return true;
}

function readText(from: Records, at: number, size: number): string {
  const field = from.bytes.subarray(at, at + size);
  const end = field.indexOf(0);
  return decoder.decode(end < 0 ? field : field.subarray(0, end));
}
