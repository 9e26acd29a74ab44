/*
 * The parts of the userspace datapath, for the files of this library only: open.c makes descriptors, send.c
 * carries from the device to the messages that flush.c sends, by way of a sender (sender*.c), receive.c from
 * the wire to the device, tunnel.c runs the threads.
 *
 * A queue belongs to its thread alone; other threads touch its atomics only. Nothing is allocated after the start. No error
 * of a single packet ends anything.
 */
#ifndef DENIM_UDP_H
#define DENIM_UDP_H

#include "icmp.h"
#include "packet.h"
#include "peers.h"

#include <pthread.h>
#include <sys/socket.h>

/* Headers of older C libraries lack these. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
	UDP_READS = 64, /* packets from the device before the wire has its turn */
	UDP_ARENA = 256 * 1024, /* where they lie until they are sent */
	UDP_SLOTS = 512, /* packets gathered before a flush */
	UDP_MESSAGES = 64,
	UDP_MESSAGE_MAX = 65507, /* the longest payload of a UDP datagram of IPv4, also with UDP_SEGMENT */
	UDP_MESSAGE_PACKETS = 64,
	UDP_RECEIVES = 32, /* as many single datagrams can become one super-packet; memory for a message each */
	UDP_RECEIVE_ROOM = 65536,
	UDP_SOCKET_BUFFER = 4 * 1024 * 1024,
	UDP_OUTER_MAX = 48, /* IPv6 and UDP header, where they are made here */
	UDP_ALONE = 600, /* s until a peer that was refused UDP_SEGMENT is tried again, as paths change */
};

enum udp_counter {
	SENT_PACKETS,
	SENT_BYTES,
	SENT_MESSAGES,
	RECEIVED_PACKETS,
	RECEIVED_BYTES,
	RECEIVED_MESSAGES,
	DEVICE_READS,
	DEVICE_WRITES,
	ICMP_SENT,
	DROPS,
	COUNTERS = DROPS + DENIM_UDP_DROPS
};

/* Packets of one size to one peer over one socket, the last one perhaps shorter. */
struct message {
	struct peer *peer;
	int fd;
	uint32_t size, total;
	uint16_t first, count; /* of the sender's packets */
	bool closed;
};

union segment_control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

union gro_control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct sender {
	uint32_t used, packet_count, part_count, message_count;
	int patience; /* ms that this flush may still wait for room */
	struct {
		uint16_t first, count; /* of the parts */
	} packets[UDP_SLOTS];
	struct iovec parts[3 * UDP_SLOTS]; /* of a packet: outer headers that are made here, headers of a segment, payload */
	struct message messages[UDP_MESSAGES];
	struct mmsghdr heads[UDP_MESSAGES];
	union segment_control controls[UDP_MESSAGES];
	uint8_t outers[UDP_MESSAGES][UDP_OUTER_MAX];
	struct sockaddr_storage receivers[UDP_MESSAGES]; /* without a port, as raw sockets want them */
	uint8_t headers[UDP_SLOTS][SPLIT_HEADER_MAX];
	_Alignas(64) uint8_t arena[UDP_ARENA];
};

struct receiver {
	struct coalescer coalescer;
	struct mmsghdr heads[UDP_RECEIVES];
	struct iovec parts[UDP_RECEIVES];
	struct sockaddr_storage sources[UDP_RECEIVES];
	union gro_control controls[UDP_RECEIVES];
	_Alignas(64) uint8_t buffers[UDP_RECEIVES][UDP_RECEIVE_ROOM];
};

struct queue {
	struct denim_udp *udp;
	pthread_t thread;
	bool running;
	int tun, v4, v6; /* -1: none */
	uint32_t now; /* s of the monotonic clock, at the beginning of this turn */
	bool own_tun, own_v4, own_v6; /* opened here, closed here where the start fails */
	const struct peer_table *table; /* what the thread reads in this turn */
	_Atomic(const struct peer_table *) in_use; /* the same, for who would free it */
	_Atomic uint32_t features;
	_Atomic int32_t failed;
	_Atomic uint64_t counters[COUNTERS]; /* written by the thread only */
	struct icmp_bucket bucket;
	struct sender sender;
	struct receiver receiver;
};

struct denim_udp {
	struct denim_udp_settings settings;
	int stop_fd, read_fd, write_fd, raw_v4, raw_v6;
	const struct sender_kind *sender;
	enum denim_udp_stage stage; /* what is being opened */
	int sender_error; /* why it is not the one that was asked for */
	int out[2][DENIM_UDP_SOURCES]; /* sockets of the sender, if it has its own: IPv4, IPv6; -1: none */
	_Atomic bool stopping;
	_Atomic(struct peer_table *) current;
	struct peer_table *retired; /* no longer current, perhaps still in use */
	uint64_t seed; /* of the tables' hashes; a secret */
	char name[16];
	uint32_t queue_count;
	struct queue *queues[DENIM_UDP_QUEUES];
};

static inline void udp_count(struct queue *queue, uint32_t counter, uint64_t by)
{
	uint64_t before = atomic_load_explicit(&queue->counters[counter], memory_order_relaxed);

	atomic_store_explicit(&queue->counters[counter], before + by, memory_order_relaxed);
}

static inline void udp_drop(struct queue *queue, enum denim_udp_drop reason)
{
	udp_count(queue, DROPS + reason, 1);
}

/* What stands before a packet at the device. */
static inline size_t udp_device_header(const struct queue *queue)
{
	return queue->udp->settings.plain ? 0 : sizeof(struct virtio_net_hdr);
}

static inline bool udp_has(const struct queue *queue, uint32_t feature)
{
	return atomic_load_explicit(&queue->features, memory_order_relaxed) & feature;
}

static inline void udp_give_up(struct queue *queue, uint32_t feature)
{
	atomic_fetch_and_explicit(&queue->features, ~feature, memory_order_relaxed);
}

/* open.c: 0 or a negative errno; what was opened is in the queue. */
int udp_open_queue(struct queue *queue, uint32_t index);
/* For ICMP errors; without the right to open them there are none. */
void udp_open_raw(struct denim_udp *udp);

/* sender*.c: how datagrams leave. */
struct sender_kind {
	enum denim_udp_sender kind;
	/* Opens what it needs; 0, or a negative errno: it cannot be here. NULL: needs nothing. */
	int (*open)(struct denim_udp *udp);
	/* The socket for an inner flow towards the peer; there is one of the peer's family. NULL: that which receives. */
	int (*choose)(const struct denim_udp *udp, const struct peer *peer, uint32_t flow);
	/* The outer headers of one packet, where the kernel does not make them: their length. NULL: it does. */
	uint32_t (*head)(const struct denim_udp *udp, const struct peer *peer, uint32_t flow, const struct iovec *parts,
			 size_t count, uint8_t out[UDP_OUTER_MAX]);
};

extern const struct sender_kind udp_sender_pool, udp_sender_raw;

/* The one asked for, or the plain socket and why. */
void udp_open_sender(struct denim_udp *udp);
void udp_close_sender(struct denim_udp *udp);
/* A UDP or raw socket of the underlay: non-blocking, with large buffers. Or a negative errno. */
int udp_open_out(int family, int type, int protocol);
/* Binds to the address of this host in the underlay that the settings say. */
int udp_bind(int fd, uint8_t family, const struct denim_udp_settings *settings, uint16_t port);

/* flush.c: one packet to the peer; its header stands in the next packet's slot already. */
void udp_gather(struct queue *queue, struct peer *peer, uint32_t flow, const struct segment *segment);
/* Where the next segment's header goes. */
uint8_t *udp_slot(struct queue *queue);
/* Sends what was gathered. */
void udp_flush(struct queue *queue);
/* The socket that receives from such peers; -1: none. */
static inline int udp_socket_for(const struct queue *queue, const struct peer *peer)
{
	return peer->record.underlay_family == DENIM_V4 ? queue->v4 : queue->v6;
}

/* send.c: 1 where there was something, 0 where not, a negative errno where the device is gone. */
int udp_from_device(struct queue *queue);
/* The error about a packet, if there may be one now. */
void udp_send_icmp(struct queue *queue, enum icmp_kind kind, const uint8_t *bytes, const struct packet *packet,
		   uint32_t mtu);

/* receive.c: likewise, of one socket. */
void udp_receive_init(struct queue *queue);
int udp_from_wire(struct queue *queue, int fd);

#endif
