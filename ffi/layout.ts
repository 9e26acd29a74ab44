/**
 * The binary layout of the records in `native/denim.h`, as the codec uses it.
 *
 * At load it is compared, value by value, with the table that the library computes from its own sizeof and offsetof
 * (`native/abi.c`, the same order). A library that was built from other sources is refused instead of misread.
 */

/** DENIM_ABI_VERSION of the library this code speaks to. */
export const ABI_VERSION = 7;

export const HEAD = { size: 8, verb: 0, result: 4 } as const;

export const LINK = {
  size: 372,
  index: 8,
  mtu: 12,
  up: 16,
  hasMac: 17,
  mac: 18,
  hasVxlan: 24,
  vxlanFlags: 28,
  vni: 32,
  lower: 36,
  ageing: 40,
  port: 44,
  ttl: 46,
  tos: 47,
  localFamily: 48,
  groupFamily: 49,
  local: 52,
  group: 68,
  name: 84,
  type: 100,
  alias: 116,
} as const;

export const ADDRESS = {
  size: 36,
  index: 8,
  flags: 12,
  family: 16,
  length: 17,
  scope: 18,
  address: 20,
} as const;

export const ROUTE = {
  size: 88,
  index: 8,
  table: 12,
  metric: 16,
  paths: 20,
  nexthop: 24,
  family: 28,
  length: 29,
  gatewayFamily: 30,
  sourceFamily: 31,
  protocol: 32,
  scope: 33,
  type: 34,
  tos: 35,
  onlink: 36,
  destination: 40,
  gateway: 56,
  source: 72,
} as const;

export const NEXTHOP = {
  size: 40,
  id: 8,
  index: 12,
  family: 16,
  gatewayFamily: 17,
  protocol: 18,
  onlink: 19,
  special: 20,
  gateway: 24,
} as const;

export const NEIGHBOUR = {
  size: 44,
  index: 8,
  state: 12,
  flags: 14,
  protocol: 15,
  table: 16,
  addressFamily: 17,
  hasMac: 18,
  mac: 20,
  address: 28,
} as const;

export const CHANGE = {
  size: 96,
  kind: 0,
  flags: 4,
  route: 8,
  nexthop: 8,
  neighbour: 8,
  index: 8,
} as const;

export const PREFIX = { size: 20, family: 0, length: 1, address: 4 } as const;

export const UDP_SETTINGS = {
  size: 164,
  queues: 0,
  without: 4,
  sources: 8,
  port: 12,
  bindV4: 14,
  bindV6: 15,
  sender: 16,
  acceptMoved: 17,
  plain: 18,
  addressV4: 20,
  addressV6: 36,
  tun: 52,
  socketV4: 84,
  socketV6: 116,
  name: 148,
} as const;

export const UDP_ICMP = { size: 34, hasV4: 0, hasV6: 1, addressV4: 2, addressV6: 18 } as const;

export const UDP_PEER = {
  size: 40,
  family: 0,
  length: 1,
  underlayFamily: 2,
  port: 4,
  mtu: 6,
  subnet: 8,
  address: 24,
} as const;

export const UDP_PEER_STATS = {
  size: 56,
  sentPackets: 0,
  sentBytes: 8,
  receivedPackets: 16,
  receivedBytes: 24,
  alone: 32,
  movedFamily: 36,
  moved: 40,
} as const;

export const UDP_STATS = {
  size: 232,
  sentPackets: 0,
  sentBytes: 8,
  sentMessages: 16,
  receivedPackets: 24,
  receivedBytes: 32,
  receivedMessages: 40,
  deviceReads: 48,
  deviceWrites: 56,
  icmpSent: 64,
  drops: 72,
  features: 200,
  failed: 204,
  sender: 208,
  senderError: 212,
  name: 216,
} as const;

export const DESCRIPTOR = {
  size: 40,
  kind: 0,
  family: 1,
  port: 2,
  multiQueue: 4,
  offload: 5,
  address: 8,
  name: 24,
} as const;

/** Sizes of the fixed text fields, the closing NUL included: IFNAMSIZ, IFNAMSIZ, IFALIASZ. */
export const NAME_SIZE = 16;
export const TYPE_SIZE = 16;
export const ALIAS_SIZE = 256;

/** enum denim_vxlan_flag. */
export const VXLAN_FLAG = {
  learning: 1 << 0,
  proxy: 1 << 1,
  rsc: 1 << 2,
  l2miss: 1 << 3,
  l3miss: 1 << 4,
  udpCsum: 1 << 5,
  udp6ZeroCsumTx: 1 << 6,
  udp6ZeroCsumRx: 1 << 7,
  gbp: 1 << 8,
} as const;

/** enum denim_verb. */
export const VERB = { create: 1, replace: 2, change: 3, delete: 4 } as const;

/** enum denim_event. */
export const EVENT = {
  link: 1 << 0,
  address: 1 << 1,
  route: 1 << 2,
  neighbour: 1 << 3,
  fdb: 1 << 4,
  nftables: 1 << 5,
  lost: 1 << 6,
  nexthop: 1 << 7,
  elsewhere: 1 << 8,
} as const;

/** enum denim_change_kind. */
export const CHANGE_KIND = { route: 1, nexthop: 2, neighbour: 3, link: 4, address: 5 } as const;

/** enum denim_change_flag. */
export const CHANGE_FLAG = { gone: 1 << 0, replaces: 1 << 1, up: 1 << 2, own: 1 << 3 } as const;

/** DENIM_CHANGES. */
export const CHANGES = 8192;

/** enum denim_udp_drop. */
export const UDP_DROP = {
  malformed: 0,
  ttl: 1,
  noPeer: 2,
  stranger: 3,
  spoofed: 4,
  tooBig: 5,
  offload: 6,
  send: 7,
  device: 8,
  busy: 9,
  noSocket: 10,
} as const;

/** enum denim_udp_sender. */
export const UDP_SENDER = { socket: 0, pool: 1, raw: 2 } as const;

/** enum denim_udp_stage. */
export const UDP_STAGE = { other: 0, device: 1, v4: 2, v6: 3 } as const;

/** enum denim_descriptor_kind. */
export const DESCRIPTOR_KIND = { other: 0, tun: 1, udpSocket: 2 } as const;

/** enum denim_udp_feature. */
export const UDP_FEATURE = {
  tso: 1 << 0,
  uso: 1 << 1,
  csum: 1 << 2,
  segment: 1 << 3,
  gro: 1 << 4,
} as const;

/** DENIM_UDP_QUEUES. */
export const UDP_QUEUES = 8;

/** DENIM_UDP_SOURCES. */
export const UDP_SOURCES = 64;

const records = {
  head: HEAD,
  link: LINK,
  address: ADDRESS,
  route: ROUTE,
  nexthop: NEXTHOP,
  neighbour: NEIGHBOUR,
  change: CHANGE,
  prefix: PREFIX,
  udpSettings: UDP_SETTINGS,
  udpIcmp: UDP_ICMP,
  udpPeer: UDP_PEER,
  udpPeerStats: UDP_PEER_STATS,
  udpStats: UDP_STATS,
  descriptor: DESCRIPTOR,
};

/** Every value of the layout with its name, in the library's order. */
export const layout: readonly { readonly name: string; readonly value: number }[] = Object.entries(records)
  .flatMap(([record, members]) =>
    Object.entries(members).map(([member, value]) => ({ name: `${record}.${member}`, value }))
  );
