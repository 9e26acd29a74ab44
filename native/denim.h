/*
 * libdenim: what the TypeScript side may call, and the records both sides share.
 *
 * The library knows the kernel's wire formats and nothing else: no decision is taken here. Records are flat, of fixed
 * size, naturally aligned with explicit padding, and live in buffers that the caller owns. The same record is read and
 * applied; each carries the verb to apply and, afterwards, its own result. Results are 0 or a negative errno.
 *
 * Addresses are in network order, everything else in host order. A `*_family` of 0 means "none". Text is NUL-terminated.
 *
 * Whoever changes a record, a signature or a meaning raises DENIM_ABI_VERSION; `denim_layout` catches what was forgotten.
 * A handle is used by one thread at a time.
 */
#ifndef DENIM_H
#define DENIM_H

#include <stdint.h>

#define DENIM_ABI_VERSION 7u
#define DENIM_EXPORT __attribute__((visibility("default")))

enum denim_family { DENIM_NONE = 0, DENIM_V4 = 4, DENIM_V6 = 6 };

/* 0 is for a record that the caller could not fill in: it is answered with -EINVAL and never reaches the kernel. */
enum denim_verb { DENIM_CREATE = 1, DENIM_REPLACE = 2, DENIM_CHANGE = 3, DENIM_DELETE = 4 };

/* Every record starts with this. */
struct denim_head {
	uint32_t verb;
	int32_t result;
};

enum denim_vxlan_flag {
	DENIM_VXLAN_LEARNING = 1 << 0,
	DENIM_VXLAN_PROXY = 1 << 1,
	DENIM_VXLAN_RSC = 1 << 2,
	DENIM_VXLAN_L2MISS = 1 << 3,
	DENIM_VXLAN_L3MISS = 1 << 4,
	DENIM_VXLAN_UDP_CSUM = 1 << 5,
	DENIM_VXLAN_ZERO_CSUM6_TX = 1 << 6,
	DENIM_VXLAN_ZERO_CSUM6_RX = 1 << 7,
	DENIM_VXLAN_GBP = 1 << 8,
};

struct denim_link {
	struct denim_head head;
	uint32_t index; /* 0 on apply: the device is named only */
	uint32_t mtu; /* 0 on apply: leave it */
	uint8_t up;
	uint8_t has_mac; /* 0 on apply: leave it */
	uint8_t mac[6];
	uint32_t has_vxlan; /* 0 on apply: leave it */
	uint32_t vxlan_flags;
	uint32_t vni;
	uint32_t lower; /* ifindex; 0 on apply: leave it */
	uint32_t ageing; /* seconds; 0 on apply: leave it, or the kernel's default */
	uint16_t port; /* 0 on apply: leave it, or the kernel's default */
	uint8_t ttl;
	uint8_t tos;
	uint8_t local_family;
	uint8_t group_family;
	uint8_t pad[2];
	uint8_t local[16];
	uint8_t group[16];
	char name[16];
	char type[16];
	char alias[256];
};

struct denim_address {
	struct denim_head head;
	uint32_t index;
	uint32_t flags; /* IFA_F_* */
	uint8_t family;
	uint8_t length;
	uint8_t scope;
	uint8_t pad;
	uint8_t address[16];
};

struct denim_route {
	struct denim_head head;
	uint32_t index;
	uint32_t table;
	uint32_t metric;
	uint32_t paths; /* of a multipath route; such a route can be read and deleted, not made */
	uint32_t nexthop; /* id of a nexthop object: gateway, device and onlink are its own to say then, and not sent; 0: none */
	uint8_t family;
	uint8_t length;
	uint8_t gateway_family;
	uint8_t source_family;
	uint8_t protocol;
	uint8_t scope;
	uint8_t type;
	uint8_t tos;
	uint8_t onlink;
	uint8_t pad[3];
	uint8_t destination[16];
	uint8_t gateway[16];
	uint8_t source[16];
};

/* What makes a nexthop object another than one gateway on one device. */
enum denim_nexthop_special {
	DENIM_NEXTHOP_BLACKHOLE = 1 << 0,
	DENIM_NEXTHOP_GROUP = 1 << 1,
	DENIM_NEXTHOP_FDB = 1 << 2,
	DENIM_NEXTHOP_ENCAP = 1 << 3,
};

struct denim_nexthop {
	struct denim_head head;
	uint32_t id; /* never 0 */
	uint32_t index;
	uint8_t family;
	uint8_t gateway_family;
	uint8_t protocol;
	uint8_t onlink;
	uint8_t special; /* enum denim_nexthop_special; such an object can be read and deleted, not made */
	uint8_t pad[3];
	uint8_t gateway[16];
};

enum denim_table { DENIM_NEIGHBOUR_V4 = 4, DENIM_NEIGHBOUR_V6 = 6, DENIM_FDB = 7 };

struct denim_neighbour {
	struct denim_head head;
	uint32_t index;
	uint16_t state; /* NUD_* */
	uint8_t flags; /* NTF_* */
	uint8_t protocol;
	uint8_t table; /* enum denim_table */
	uint8_t address_family;
	uint8_t has_mac;
	uint8_t pad;
	uint8_t mac[6];
	uint8_t pad2[2];
	uint8_t address[16];
};

enum denim_change_kind {
	DENIM_CHANGE_ROUTE = 1,
	DENIM_CHANGE_NEXTHOP = 2,
	DENIM_CHANGE_NEIGHBOUR = 3,
	DENIM_CHANGE_LINK = 4,
	DENIM_CHANGE_ADDRESS = 5,
};

enum denim_change_flag {
	DENIM_CHANGE_GONE = 1 << 0,
	DENIM_CHANGE_REPLACES = 1 << 1, /* it took the place of another, as far as the kernel says so */
	DENIM_CHANGE_UP = 1 << 2, /* of links */
	DENIM_CHANGE_OWN = 1 << 3, /* by the socket of `own_port`, as far as the kernel says so */
};

/* One thing that somebody changed, as it is now or, where it is gone, as it was. */
struct denim_change {
	uint32_t kind;
	uint32_t flags;
	union {
		struct denim_route route;
		struct denim_nexthop nexthop;
		struct denim_neighbour neighbour;
		uint32_t index; /* of a link, or of an address' device */
	};
};

enum { DENIM_CHANGES = 8192 }; /* that a monitor keeps */

struct denim_prefix {
	uint8_t family;
	uint8_t length;
	uint8_t pad[2];
	uint8_t address[16];
};

/* Handshake: the version, and sizes and offsets of every record member in the order of abi.c. */
DENIM_EXPORT uint32_t denim_abi_version(void);
DENIM_EXPORT uint32_t denim_layout(uint32_t *out, uint32_t capacity);

/*
 * rtnetlink. The socket belongs to the network namespace of the thread that opens it and keeps that namespace whichever
 * thread uses it. denim_open returns NULL and a negative errno in *error where it fails.
 */
struct denim_netlink;
DENIM_EXPORT struct denim_netlink *denim_open(int32_t *error);
DENIM_EXPORT void denim_close(struct denim_netlink *nl);
DENIM_EXPORT uint32_t denim_port(const struct denim_netlink *nl);

/*
 * Reads: the number of records there are, or a negative errno. Where it is above `capacity` only the first `capacity` were
 * written: call again with more room. -EAGAIN: the tables changed under every attempt.
 */
DENIM_EXPORT int32_t denim_read_links(struct denim_netlink *nl, struct denim_link *out, uint32_t capacity);
DENIM_EXPORT int32_t denim_read_addresses(struct denim_netlink *nl, struct denim_address *out, uint32_t capacity);
DENIM_EXPORT int32_t denim_read_routes(struct denim_netlink *nl, uint32_t table, struct denim_route *out,
				       uint32_t capacity);
/* -EOPNOTSUPP where the kernel has no nexthop objects (before Linux 5.3). */
DENIM_EXPORT int32_t denim_read_nexthops(struct denim_netlink *nl, struct denim_nexthop *out, uint32_t capacity);
DENIM_EXPORT int32_t denim_read_neighbours(struct denim_netlink *nl, const uint32_t *indexes, uint32_t index_count,
					   struct denim_neighbour *out, uint32_t capacity);

/*
 * Applies: every record is tried, in order, whatever became of those before it, and has its result in head.result.
 * 0, or a negative errno where the socket itself failed (records not tried then carry that errno too).
 */
DENIM_EXPORT int32_t denim_apply_links(struct denim_netlink *nl, struct denim_link *records, uint32_t count);
DENIM_EXPORT int32_t denim_apply_addresses(struct denim_netlink *nl, struct denim_address *records, uint32_t count);
DENIM_EXPORT int32_t denim_apply_routes(struct denim_netlink *nl, struct denim_route *records, uint32_t count);
DENIM_EXPORT int32_t denim_apply_nexthops(struct denim_netlink *nl, struct denim_nexthop *records, uint32_t count);
DENIM_EXPORT int32_t denim_apply_neighbours(struct denim_netlink *nl, struct denim_neighbour *records, uint32_t count);

/* In: family and destination. Out: the kernel's answer in the same record, or its errno in head.result. */
DENIM_EXPORT int32_t denim_look_up(struct denim_netlink *nl, struct denim_route *records, uint32_t count);

/*
 * Monitor: a thread that gathers what changed, decoded in a ring and by its kind in a bit mask, and writes one byte to a
 * pipe whenever the mask leaves zero.
 *
 * The mask: `own_port` is the denim_port whose changes are left out (0: none), as far as the kernel says whose they are: of routes,
 * nexthop objects, IPv4 addresses and new or replaced neighbours. It does not for links that change, IPv6 addresses, deleted neighbours, the
 * FDB of vxlan devices, and whatever follows from a change (the routes that go with an address): those are told, our own too.
 * The pipe's read end is the caller's to close.
 *
 * The ring has our own changes too, marked where the kernel says that they are, and of the others what is watched. Where it
 * is full all of it is dropped: only a whole read says then how things are.
 */
enum denim_event {
	DENIM_EVENT_LINK = 1 << 0,
	DENIM_EVENT_ADDRESS = 1 << 1,
	DENIM_EVENT_ROUTE = 1 << 2,
	DENIM_EVENT_NEIGHBOUR = 1 << 3,
	DENIM_EVENT_FDB = 1 << 4,
	DENIM_EVENT_NFTABLES = 1 << 5,
	DENIM_EVENT_LOST = 1 << 6,
	DENIM_EVENT_NEXTHOP = 1 << 7,
	DENIM_EVENT_ELSEWHERE = 1 << 8, /* beside ROUTE: of a route that does not enter the ring */
};

struct denim_monitor;
DENIM_EXPORT struct denim_monitor *denim_monitor_start(uint32_t own_port, int32_t *error);
DENIM_EXPORT int32_t denim_monitor_pipe(const struct denim_monitor *monitor);
DENIM_EXPORT uint32_t denim_monitor_take(struct denim_monitor *monitor);
/*
 * The oldest changes, up to `capacity`: they are moved to `out`, and how many there are is the answer. Everything is among
 * them that the kernel told before the call, so what an apply changed can be taken as soon as it has returned. Where the
 * answer is `capacity` there may be more. *lost: 1 where changes were dropped since the last call, 0 otherwise.
 */
DENIM_EXPORT int32_t denim_monitor_changes(struct denim_monitor *monitor, struct denim_change *out, uint32_t capacity,
					   uint32_t *lost);
/*
 * What counts from now on; before the first call, everything. Of neighbours and the FDB, in mask and ring: what is on these
 * devices (above 64: on all). Of routes, in the ring only: those of the main table that denim made, that lead over one of
 * these devices or a nexthop object, or into one of these networks (above 16: all of the main table). The rest always does.
 */
DENIM_EXPORT void denim_monitor_watch(struct denim_monitor *monitor, const uint32_t *indexes, uint32_t index_count,
				      const struct denim_prefix *networks, uint32_t network_count);
/* Ends and joins the thread, frees everything but the pipe's read end. */
DENIM_EXPORT void denim_monitor_stop(struct denim_monitor *monitor);

/*
 * The userspace datapath: a TUN device on one side, UDP sockets on the other, one thread a queue that carries both ways.
 * On the wire a datagram's payload is one whole inner packet and nothing else, as every peer of that kind sends it; what
 * the kernel can do in one go (super-packets, UDP_SEGMENT, UDP_GRO) is used where it can and never asked of a peer.
 */
enum { DENIM_UDP_QUEUES = 8, DENIM_UDP_SOURCES = 64, DENIM_UDP_DROPS = 16 };

/* Why a packet was dropped, each for one reason: index of denim_udp_stats.drops. */
enum denim_udp_drop {
	DENIM_DROP_MALFORMED = 0, /* no IP packet, or lengths that do not fit */
	DENIM_DROP_TTL = 1, /* its time was over */
	DENIM_DROP_NO_PEER = 2, /* from the device: no peer has the destination */
	DENIM_DROP_STRANGER = 3, /* from the wire: the datagram's source is no peer's, nor may be */
	DENIM_DROP_SPOOFED = 4, /* from the wire: the inner source is not in a subnet of the peer that sent it */
	DENIM_DROP_TOO_BIG = 5, /* longer than the peer's MTU or a datagram can be, and not to be fragmented */
	DENIM_DROP_OFFLOAD = 6, /* from the device: an offload header that does not fit the packet */
	DENIM_DROP_SEND = 7, /* the underlay refused it: no route, a firewall, its length */
	DENIM_DROP_DEVICE = 8, /* the TUN device refused it: it is down, or its queue is full */
	DENIM_DROP_BUSY = 9, /* the underlay had no room: a full socket buffer or device queue */
	DENIM_DROP_NO_SOCKET = 10, /* the peer is in an address family of the underlay that this host has no socket of */
};

/* How datagrams leave. All are the same to who receives them. */
enum denim_udp_sender {
	DENIM_UDP_SOCKET = 0, /* over the socket that receives: one source port */
	DENIM_UDP_POOL = 1, /* over several sockets: an inner flow keeps one of their source ports */
	DENIM_UDP_RAW = 2, /* over a raw socket: a source port per inner flow, packet by packet. Needs CAP_NET_RAW */
};

/* What is in use; on start, as `without`, what shall not be. */
enum denim_udp_feature {
	DENIM_UDP_TSO = 1 << 0, /* TCP super-packets, from and to the device */
	DENIM_UDP_USO = 1 << 1, /* UDP super-packets, likewise (Linux 6.2) */
	DENIM_UDP_CSUM = 1 << 2, /* checksums that the device leaves to us */
	DENIM_UDP_SEGMENT = 1 << 3, /* several packets a message sent (Linux 4.18) */
	DENIM_UDP_GRO = 1 << 4, /* several packets a message received (Linux 5.0) */
};

struct denim_udp_settings {
	uint32_t queues; /* 1 to DENIM_UDP_QUEUES: TUN queues, and as many sockets of each family */
	uint32_t without; /* enum denim_udp_feature */
	uint32_t sources; /* of DENIM_UDP_POOL: source ports, 1 to DENIM_UDP_SOURCES */
	uint16_t port; /* where the sockets are bound */
	uint8_t bind_v4; /* a socket of that family is wanted */
	uint8_t bind_v6;
	uint8_t sender; /* enum denim_udp_sender */
	uint8_t accept_moved; /* take a peer's packets also from the first other address that one came from */
	uint8_t plain; /* one packet a system call: no offload header at the device, no feature, no batch */
	uint8_t pad;
	uint8_t address_v4[16]; /* zero: any */
	uint8_t address_v6[16];
	int32_t tun[DENIM_UDP_QUEUES]; /* descriptors handed in, or -1 */
	int32_t socket_v4[DENIM_UDP_QUEUES];
	int32_t socket_v6[DENIM_UDP_QUEUES];
	char name[16]; /* of the TUN device; a pattern such as flannel%d will do */
};

/* Where ICMP errors come from; none are sent for a family without. */
struct denim_udp_icmp {
	uint8_t has_v4;
	uint8_t has_v6;
	uint8_t address_v4[16];
	uint8_t address_v6[16];
};

/* One subnet of a peer. Several records may have the same public address. */
struct denim_udp_peer {
	uint8_t family;
	uint8_t length;
	uint8_t underlay_family;
	uint8_t pad;
	uint16_t port;
	uint16_t mtu; /* longest inner packet towards it; 0: whatever the underlay takes, in fragments if need be */
	uint8_t subnet[16];
	uint8_t address[16];
};

struct denim_udp_peer_stats {
	uint64_t sent_packets;
	uint64_t sent_bytes;
	uint64_t received_packets;
	uint64_t received_bytes;
	uint32_t alone; /* 1: the underlay refused UDP_SEGMENT towards it: packet by packet until its mtu rises, or 10 minutes */
	uint8_t moved_family; /* of the address that was accepted beside its own; 0: none yet */
	uint8_t pad[3];
	uint8_t moved[16];
};

/* Sums over all queues since the start. Bytes are those of inner packets. */
struct denim_udp_stats {
	uint64_t sent_packets;
	uint64_t sent_bytes;
	uint64_t sent_messages;
	uint64_t received_packets;
	uint64_t received_bytes;
	uint64_t received_messages;
	uint64_t device_reads;
	uint64_t device_writes;
	uint64_t icmp_sent;
	uint64_t drops[DENIM_UDP_DROPS];
	uint32_t features; /* enum denim_udp_feature: in use by every queue, for everybody */
	int32_t failed; /* negative errno of a queue that ended by itself */
	uint32_t sender; /* enum denim_udp_sender: in use */
	int32_t sender_error; /* negative errno: why it is not the one that was asked for; 0: it is */
	char name[16];
};

struct denim_udp;

/* What could not be opened. */
enum denim_udp_stage { DENIM_STAGE_OTHER = 0, DENIM_STAGE_DEVICE = 1, DENIM_STAGE_V4 = 2, DENIM_STAGE_V6 = 3 };

/*
 * Opens what was not handed in, in the network namespace of the caller's thread. NULL, a negative errno and an enum
 * denim_udp_stage in `error` where that fails; descriptors that were handed in stay open and the caller's then, and the tunnel's after success. The device's
 * addresses, MTU and routes are the caller's business. Needs CAP_NET_ADMIN; CAP_NET_RAW for ICMP.
 */
DENIM_EXPORT struct denim_udp *denim_udp_start(const struct denim_udp_settings *settings, int32_t error[2]);
/*
 * From now on these are the peers, all at once; packets under way are still treated by the former. Counters of a peer that
 * stays go on. -EINVAL (a record that is none) or -ENOMEM: nothing changed. Of records with one subnet the last counts.
 * The first call starts the threads: until then packets wait in the queues of the device and the sockets.
 */
DENIM_EXPORT int32_t denim_udp_peers(struct denim_udp *udp, const struct denim_udp_peer *records, uint32_t count);
/* From now on ICMP errors come from there; before the first call none are sent. -ENOMEM: nothing changed. */
DENIM_EXPORT int32_t denim_udp_icmp_sources(struct denim_udp *udp, const struct denim_udp_icmp *sources);
/* Fills `stats`, and counters of at most `capacity` peers in the order of the records; returns how many peers there are. */
DENIM_EXPORT int32_t denim_udp_stats(struct denim_udp *udp, struct denim_udp_stats *stats,
				     struct denim_udp_peer_stats *peers, uint32_t capacity);
/* Readable once a queue has ended by itself, with its errno in the statistics. The caller's to close. */
DENIM_EXPORT int32_t denim_udp_pipe(const struct denim_udp *udp);
/* For a service manager's store: per queue the TUN descriptor, the IPv4 socket, the IPv6 socket (or -1). Returns how many. */
DENIM_EXPORT int32_t denim_udp_descriptors(const struct denim_udp *udp, int32_t *out, uint32_t capacity);
/* Ends and joins the threads, frees everything but the pipe; with `keep` the descriptors above stay open, the caller's now. */
DENIM_EXPORT void denim_udp_stop(struct denim_udp *udp, uint32_t keep);

/* sd_notify(3): one datagram to a path or, with a leading '@', to an abstract address; copies of `fds` go with it. */
DENIM_EXPORT int32_t denim_notify(const char *address, uint32_t address_length, const char *message,
				  uint32_t message_length, const int32_t *fds, uint32_t fd_count);

enum { DENIM_NOTIFY_FDS = 64 }; /* at most, with one message */

enum denim_descriptor_kind { DENIM_IS_OTHER = 0, DENIM_IS_TUN = 1, DENIM_IS_UDP_SOCKET = 2 };

/* What a descriptor from elsewhere is. */
struct denim_descriptor {
	uint8_t kind; /* enum denim_descriptor_kind */
	uint8_t family; /* of the socket */
	uint16_t port; /* where it is bound; 0: not yet */
	uint8_t multi_queue; /* of the TUN device: it may have several queues */
	uint8_t offload; /* of the TUN device: its packets have an offload header (IFF_VNET_HDR) */
	uint8_t pad[2];
	uint8_t address[16];
	char name[16]; /* of the TUN device */
};

/* 0, or -EBADF. */
DENIM_EXPORT int32_t denim_describe(int32_t fd, struct denim_descriptor *out);
/* The descriptor does not go to other programs that this process starts. */
DENIM_EXPORT int32_t denim_close_on_exec(int32_t fd);
DENIM_EXPORT int32_t denim_close_descriptor(int32_t fd);

/* CLOCK_BOOTTIME in nanoseconds: monotonic, suspend included. */
DENIM_EXPORT int64_t denim_boot_time(void);
/* From now on SIGUSR1 does nothing, until somebody installs another handler: it would open V8's inspector on a TCP port. */
DENIM_EXPORT int32_t denim_ignore_inspector_signal(void);
/*
 * Takes the lock `name`, an abstract socket of this network namespace: a descriptor that holds it until closed, by whatever
 * kind of exit, or -EADDRINUSE.
 */
DENIM_EXPORT int32_t denim_lock(const char *name, uint32_t name_length);
DENIM_EXPORT void denim_unlock(int32_t descriptor);

#endif
