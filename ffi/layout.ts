/**
 * The binary layout of the records in `native/denim.h`, as the codec uses it.
 *
 * At load it is compared, value by value, with the table that the library computes from its own sizeof and offsetof
 * (`native/abi.c`, the same order). A library that was built from other sources is refused instead of misread.
 */

/** DENIM_ABI_VERSION of the library this code speaks to. */
export const ABI_VERSION = 3;

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

export const UDP_SETTINGS = {
  size: 192,
  queues: 0,
  without: 4,
  port: 8,
  bindV4: 10,
  bindV6: 11,
  hasSourceV4: 12,
  hasSourceV6: 13,
  addressV4: 16,
  addressV6: 32,
  sourceV4: 48,
  sourceV6: 64,
  tun: 80,
  socketV4: 112,
  socketV6: 144,
  name: 176,
} as const;

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
  size: 40,
  sentPackets: 0,
  sentBytes: 8,
  receivedPackets: 16,
  receivedBytes: 24,
  alone: 32,
} as const;

export const UDP_STATS = {
  size: 224,
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
  name: 208,
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
} as const;

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
} as const;

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

const records = {
  head: HEAD,
  link: LINK,
  address: ADDRESS,
  route: ROUTE,
  nexthop: NEXTHOP,
  neighbour: NEIGHBOUR,
  udpSettings: UDP_SETTINGS,
  udpPeer: UDP_PEER,
  udpPeerStats: UDP_PEER_STATS,
  udpStats: UDP_STATS,
};

/** Every value of the layout with its name, in the library's order. */
export const layout: readonly { readonly name: string; readonly value: number }[] = Object.entries(records)
  .flatMap(([record, members]) =>
    Object.entries(members).map(([member, value]) => ({ name: `${record}.${member}`, value }))
  );
