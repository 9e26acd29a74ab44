/*
 * From the device to the wire: read (super-)packets, check them, cut them, gather the pieces for flush.c. Payload is
 * never copied.
 */
#include "udp.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DONT_FRAGMENT = 0x40 };

/* A raw socket's packets are routed as the host's own: written to the device they would come from outside with a source of
 * this host, and be dropped as martians. */
void udp_send_icmp(struct queue *queue, enum icmp_kind kind, const uint8_t *bytes, const struct packet *packet,
		   uint32_t mtu)
{
	const struct denim_udp_icmp *sources = &queue->table->icmp;
	bool v4 = packet->family == DENIM_V4;
	struct sockaddr_in to_v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to_v6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *to = v4 ? (const struct sockaddr *)&to_v4 : (const struct sockaddr *)&to_v6;
	int fd = v4 ? queue->udp->raw_v4 : queue->udp->raw_v6;
	uint8_t error[ICMP_ROOM];
	struct timespec now;
	uint32_t length;

	if (fd < 0 || !(v4 ? sources->has_v4 : sources->has_v6))
		return;
	length = icmp_build(kind, bytes, packet, v4 ? sources->address_v4 : sources->address_v6, mtu, error);
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (length == 0 || !icmp_allow(&queue->bucket, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec))
		return;
	memcpy(v4 ? (void *)&to_v4.sin_addr : (void *)&to_v6.sin6_addr, packet_source(bytes, packet->family), v4 ? 4 : 16);
	if (sendto(fd, error, length, MSG_DONTWAIT, to, v4 ? sizeof(to_v4) : sizeof(to_v6)) >= 0)
		udp_count(queue, ICMP_SENT, 1);
}

static bool fits_peer(const struct peer *peer, const uint8_t *bytes, const struct packet *packet, uint32_t length)
{
	uint32_t mtu = atomic_load_explicit(&peer->mtu, memory_order_relaxed);

	if (length > UDP_MESSAGE_MAX)
		return false;
	return mtu == 0 || length <= mtu || (packet->family == DENIM_V4 && !(bytes[6] & DONT_FRAGMENT));
}

static void cut_and_gather(struct queue *queue, struct peer *peer, struct split *split)
{
	uint32_t flow = queue->udp->sender->choose ? packet_flow(split->bytes, &split->packet) : 0;
	struct segment segment;

	while (split_next(split, udp_slot(queue), &segment))
		udp_gather(queue, peer, flow, &segment);
}

/* One packet from the device. */
static void take(struct queue *queue, const struct virtio_net_hdr *header, uint8_t *bytes, size_t length)
{
	struct packet packet;
	struct split split;
	struct peer *peer;

	if (!packet_parse(bytes, length, &packet)) {
		udp_drop(queue, DENIM_DROP_MALFORMED);
		return;
	}
	peer = peers_find(queue->table, packet.family, packet_destination(bytes, packet.family), NULL);
	if (!peer || udp_socket_for(queue, peer) < 0) {
		udp_drop(queue, peer ? DENIM_DROP_NO_SOCKET : DENIM_DROP_NO_PEER);
		udp_send_icmp(queue, ICMP_NO_WAY, bytes, &packet, 0);
		return;
	}
	if (!packet_count_down(bytes, packet.family)) {
		udp_drop(queue, DENIM_DROP_TTL);
		udp_send_icmp(queue, ICMP_TIME_OVER, bytes, &packet, 0);
		return;
	}
	if (!split_begin(&split, header, bytes, length)) {
		udp_drop(queue, DENIM_DROP_OFFLOAD);
		return;
	}
	if (!fits_peer(peer, bytes, &packet, split_first_length(&split))) {
		udp_drop(queue, DENIM_DROP_TOO_BIG);
		udp_send_icmp(queue, ICMP_TOO_LONG, bytes, &packet, atomic_load(&peer->mtu));
		return;
	}
	cut_and_gather(queue, peer, &split);
}

int udp_from_device(struct queue *queue)
{
	const size_t head = udp_device_header(queue);
	const int most = queue->udp->settings.plain ? 1 : UDP_READS;
	struct sender *s = &queue->sender;
	struct virtio_net_hdr header = { 0 };
	int reads = 0;
	ssize_t length = 0;

	for (; reads < most; reads++) {
		if (UDP_ARENA - s->used < sizeof(header) + PACKET_ROOM) {
			udp_flush(queue);
			s->used = 0;
		}
		length = read(queue->tun, s->arena + s->used, head + PACKET_ROOM);
		if (length < (ssize_t)head)
			break;
		memcpy(&header, s->arena + s->used, head);
		udp_count(queue, DEVICE_READS, 1);
		take(queue, &header, s->arena + s->used + head, (size_t)length - head);
		s->used += ((uint32_t)length + 63) & ~63u;
	}
	if (length < 0 && errno != EAGAIN && errno != EINTR)
		reads = -errno;
	udp_flush(queue);
	s->used = 0;
	return reads > 0 ? 1 : reads;
}
