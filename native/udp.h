/*
 * The parts of the userspace datapath, for the files of this library only: udp_open.c makes descriptors, udp_send.c
 * carries from the device to the wire, udp_receive.c from the wire to the device, udp_tunnel.c runs the threads.
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
	UDP_RECEIVES = 8,
	UDP_RECEIVE_ROOM = 65536,
	UDP_SOCKET_BUFFER = 4 * 1024 * 1024,
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

/* Packets of one size to one peer, the last one perhaps shorter. */
struct message {
	struct peer *peer;
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
	struct {
		uint16_t first, count; /* of the parts */
	} packets[UDP_SLOTS];
	struct iovec parts[2 * UDP_SLOTS];
	struct message messages[UDP_MESSAGES];
	struct mmsghdr heads[UDP_MESSAGES];
	union segment_control controls[UDP_MESSAGES];
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
	_Atomic bool stopping;
	_Atomic(struct peer_table *) current;
	struct peer_table *retired; /* no longer current, perhaps still in use */
	char name[16];
	uint32_t queue_count;
	struct queue *queues[DENIM_UDP_QUEUES];
};

static inline void udp_count(struct queue *queue, uint32_t counter, uint64_t by)
{
	uint64_t before = atomic_load_explicit(&queue->counters[counter], memory_order_relaxed);

	atomic_store_explicit(&queue->counters[counter], before + by, memory_order_relaxed);
}

static inline bool udp_has(const struct queue *queue, uint32_t feature)
{
	return atomic_load_explicit(&queue->features, memory_order_relaxed) & feature;
}

static inline void udp_give_up(struct queue *queue, uint32_t feature)
{
	atomic_fetch_and_explicit(&queue->features, ~feature, memory_order_relaxed);
}

/* udp_open.c: 0 or a negative errno; what was opened is in the queue. */
int udp_open_queue(struct queue *queue, uint32_t index);
/* For ICMP errors; without the right to open them there are none. */
void udp_open_raw(struct denim_udp *udp);

/* udp_send.c: 1 where there was something, 0 where not, a negative errno where the device is gone. */
int udp_from_device(struct queue *queue);
/* The error about a packet, if there may be one now. */
void udp_send_icmp(struct queue *queue, enum icmp_kind kind, const uint8_t *bytes, const struct packet *packet,
		   uint32_t mtu);

/* udp_receive.c: likewise, of one socket. */
void udp_receive_init(struct queue *queue);
int udp_from_wire(struct queue *queue, int fd);

#endif
