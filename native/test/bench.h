/*
 * A queue without a device: a socket pair stands for the TUN device, two sockets on the loopback device for the underlay. What
 * is read and written goes through the real code; no privilege is needed.
 */
#ifndef DENIM_TEST_BENCH_H
#define DENIM_TEST_BENCH_H

#include "../udp/udp.h"
#include "packets.h"

#include <endian.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HEADER = sizeof(struct virtio_net_hdr) };

struct bench {
	struct denim_udp udp;
	struct queue *queue;
	struct peer_table *table;
	int device, wire; /* the other ends */
};

static uint8_t buffer[HEADER + PACKET_ROOM];
static uint64_t seed = 1;

static inline int loopback(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* The peer has 10.1.0.0/16 and fd01::/32: both ends of every packet of the tests. */
static inline struct peer_table *peers_at(uint16_t port, uint16_t mtu)
{
	struct denim_udp_peer records[] = {
		{ .family = DENIM_V4, .length = 16, .subnet = { 10, 1 } },
		{ .family = DENIM_V6, .length = 32, .subnet = { 0xfd, 1 } },
	};
	struct peer_table *table;
	int error;

	for (int i = 0; i < 2; i++) {
		records[i].underlay_family = DENIM_V4;
		memcpy(records[i].address, (uint8_t[]){ 127, 0, 0, 1 }, 4);
		records[i].port = port;
		records[i].mtu = mtu;
	}
	table = peers_build(records, 2, NULL, &seed, &error);
	CHECK(table != NULL);
	return table;
}

/* The other end of the wire speaks with the queue's socket alone. */
static inline void reach(struct bench *bench)
{
	struct sockaddr_in ours;
	socklen_t size = sizeof(ours);

	CHECK(getsockname(bench->queue->v4, (struct sockaddr *)&ours, &size) == 0);
	CHECK(connect(bench->wire, (struct sockaddr *)&ours, size) == 0);
}

/* As `settings` say, of which only what concerns sending and accepting matters here; the other end takes from anybody. */
static inline void open_bench_as(struct bench *bench, const struct denim_udp_settings *settings, uint32_t features,
				 uint16_t mtu)
{
	int ends[2], size = 1 << 20, one = 1;
	uint16_t port, ours;

	memset(bench, 0, sizeof(*bench));
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	bench->device = ends[1];
	bench->wire = loopback(&port);
	bench->udp.raw_v4 = bench->udp.raw_v6 = -1;
	bench->udp.settings = *settings;
	memset(bench->udp.out, 0xff, sizeof(bench->udp.out));
	udp_open_sender(&bench->udp);
	bench->udp.stop_fd = eventfd(0, EFD_CLOEXEC);
	bench->queue = aligned_alloc(64, (sizeof(*bench->queue) + 63) / 64 * 64);
	CHECK(bench->queue != NULL);
	memset(bench->queue, 0, sizeof(*bench->queue));
	bench->queue->udp = &bench->udp;
	bench->queue->tun = ends[0];
	bench->queue->v4 = loopback(&ours);
	bench->queue->v6 = -1;
	bench->queue->features = features;
	setsockopt(bench->queue->v4, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	bench->queue->table = bench->table = peers_at(port, mtu);
	udp_receive_init(bench->queue);
}

static inline void open_bench(struct bench *bench, uint32_t features, uint16_t mtu)
{
	open_bench_as(bench, &(struct denim_udp_settings){ .sources = 1 }, features, mtu);
	reach(bench);
}

static inline void close_bench(struct bench *bench)
{
	close(bench->device);
	close(bench->wire);
	close(bench->queue->tun);
	close(bench->queue->v4);
	close(bench->udp.stop_fd);
	udp_close_sender(&bench->udp);
	peers_free(bench->table);
	free(bench->queue);
}

static inline uint64_t counter(const struct bench *bench, uint32_t which)
{
	return bench->queue->counters[which];
}

static inline void from_device(struct bench *bench, struct virtio_net_hdr header, const uint8_t *bytes, uint32_t length)
{
	struct iovec parts[] = { { &header, udp_device_header(bench->queue) }, { exact(bytes, length), length } };

	CHECK(writev(bench->device, parts, 2) == (ssize_t)(parts[0].iov_len + length));
	free(parts[1].iov_base);
	while (udp_from_device(bench->queue) > 0)
		;
}

static const struct shape stream = { .family = DENIM_V4, .protocol = IPPROTO_TCP, .ttl = 64, .flags = ACK_FLAG,
				     .port = 4000, .payload = 60000 };

static inline struct virtio_net_hdr super_of(uint16_t size)
{
	return (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					.gso_size = htole16(size), .csum_start = htole16(20), .csum_offset = htole16(16) };
}

#endif
