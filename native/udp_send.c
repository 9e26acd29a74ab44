/*
 * From the device to the wire: read (super-)packets, cut them, gather what has one size and one peer into one message,
 * hand several messages to the kernel at once. Payload is never copied.
 *
 * Where the kernel refuses a message of several packets they are sent one by one, and if that goes, it stays so: for this
 * peer (its path takes no such message) or for the queue (the underlay's device cannot, EIO). A plain datagram may be
 * fragmented on the way; one with UDP_SEGMENT may not.
 */
#include "udp.h"

#include "bytes.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SEND_PATIENCE = 100 /* ms for a full socket buffer */, DONT_FRAGMENT = 0x40 };

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

static int socket_for(const struct queue *queue, const struct peer *peer)
{
	return peer->record.underlay_family == DENIM_V4 ? queue->v4 : queue->v6;
}

static void account(struct queue *queue, struct peer *peer, uint64_t packets, uint64_t bytes)
{
	udp_count(queue, SENT_MESSAGES, 1);
	udp_count(queue, SENT_PACKETS, packets);
	udp_count(queue, SENT_BYTES, bytes);
	atomic_fetch_add_explicit(&peer->sent_packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&peer->sent_bytes, bytes, memory_order_relaxed);
}

/* False where the socket stayed full, or the end has come. */
static bool wait_for_room(const struct queue *queue, int fd)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLOUT }, { .fd = queue->udp->stop_fd, .events = POLLIN } };

	return poll(fds, 2, SEND_PATIENCE) > 0 && !fds[1].revents;
}

static uint32_t length_of(const struct iovec *parts, size_t count)
{
	uint32_t length = 0;

	for (size_t i = 0; i < count; i++)
		length += (uint32_t)parts[i].iov_len;
	return length;
}

/* One packet as one datagram. */
static bool send_one(struct queue *queue, int fd, struct peer *peer, struct iovec *parts, size_t count)
{
	struct msghdr head = { .msg_name = &peer->to, .msg_namelen = peer->to_length, .msg_iov = parts,
			       .msg_iovlen = count };

	while (sendmsg(fd, &head, MSG_DONTWAIT) < 0) {
		if (errno == EINTR || (errno == EAGAIN && wait_for_room(queue, fd)))
			continue;
		udp_count(queue, DROPS + DENIM_DROP_SEND, 1);
		return false;
	}
	account(queue, peer, 1, length_of(parts, count));
	return true;
}

/* The packets of a message that was refused. */
static void send_apart(struct queue *queue, int fd, const struct message *message, int error)
{
	struct sender *s = &queue->sender;
	bool any = false;

	for (uint32_t i = message->first; i < message->first + message->count; i++)
		any |= send_one(queue, fd, message->peer, &s->parts[s->packets[i].first], s->packets[i].count);
	if (!any || error == ENOBUFS || error == ENOMEM || error == EAGAIN)
		return;
	if (error == EIO)
		udp_give_up(queue, DENIM_UDP_SEGMENT);
	else
		atomic_store_explicit(&message->peer->alone, true, memory_order_relaxed);
}

static void refused(struct queue *queue, int fd, const struct message *message, int error)
{
	if (message->count > 1)
		send_apart(queue, fd, message, error);
	else
		udp_count(queue, DROPS + DENIM_DROP_SEND, 1);
}

/* `count` messages over one socket. */
static void send_run(struct queue *queue, int fd, uint32_t first, uint32_t count)
{
	struct sender *s = &queue->sender;
	uint32_t end = first + count;
	int sent;

	while (first < end) {
		sent = sendmmsg(fd, &s->heads[first], end - first, MSG_DONTWAIT);
		if (sent < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_room(queue, fd))))
			continue;
		if (sent <= 0) {
			refused(queue, fd, &s->messages[first++], errno);
			continue;
		}
		for (; sent > 0; sent--, first++)
			account(queue, s->messages[first].peer, s->messages[first].count, s->messages[first].total);
	}
}

static void fill_head(struct sender *s, uint32_t index)
{
	const struct message *message = &s->messages[index];
	uint32_t last = message->first + message->count - 1u;
	struct msghdr *head = &s->heads[index].msg_hdr;
	uint16_t size = (uint16_t)message->size, first = s->packets[message->first].first;

	*head = (struct msghdr){ .msg_name = &message->peer->to, .msg_namelen = message->peer->to_length };
	head->msg_iov = &s->parts[first];
	head->msg_iovlen = (size_t)(s->packets[last].first + s->packets[last].count - first);
	if (message->count == 1)
		return;
	head->msg_control = &s->controls[index];
	head->msg_controllen = sizeof(s->controls[index].bytes);
	s->controls[index].header = (struct cmsghdr){
		.cmsg_level = IPPROTO_UDP,
		.cmsg_type = UDP_SEGMENT,
		.cmsg_len = CMSG_LEN(sizeof(size)),
	};
	memcpy(CMSG_DATA(&s->controls[index].header), &size, sizeof(size));
}

static void flush(struct queue *queue)
{
	struct sender *s = &queue->sender;
	uint32_t first = 0, end;

	for (uint32_t i = 0; i < s->message_count; i++)
		fill_head(s, i);
	for (; first < s->message_count; first = end) {
		int fd = socket_for(queue, s->messages[first].peer);

		for (end = first + 1; end < s->message_count; end++) {
			if (socket_for(queue, s->messages[end].peer) != fd)
				break;
		}
		send_run(queue, fd, first, end - first);
	}
	s->packet_count = s->part_count = s->message_count = 0;
}

/* The message that the packet joins, or a new one. There is room for one. */
static struct message *message_for(struct queue *queue, struct peer *peer, uint32_t length)
{
	struct sender *s = &queue->sender;
	struct message *message = s->message_count > 0 ? &s->messages[s->message_count - 1] : NULL;

	if (message && message->peer == peer && !message->closed && length <= message->size &&
	    message->total + length <= UDP_MESSAGE_MAX && message->count < UDP_MESSAGE_PACKETS)
		return message;
	message = &s->messages[s->message_count++];
	*message = (struct message){ .peer = peer, .size = length, .first = (uint16_t)s->packet_count };
	message->closed = !udp_has(queue, DENIM_UDP_SEGMENT) || atomic_load_explicit(&peer->alone, memory_order_relaxed);
	return message;
}

/* The header is in the slot of the next packet already. */
static void gather(struct queue *queue, struct peer *peer, const struct segment *segment)
{
	struct sender *s = &queue->sender;
	uint32_t length = segment->header_length + segment->payload_length;
	struct message *message = message_for(queue, peer, length);
	size_t offset = (size_t)(segment->payload - s->arena);

	s->packets[s->packet_count].first = (uint16_t)s->part_count;
	if (segment->header_length > 0)
		s->parts[s->part_count++] = (struct iovec){ s->headers[s->packet_count], segment->header_length };
	if (segment->payload_length > 0)
		s->parts[s->part_count++] = (struct iovec){ s->arena + offset, segment->payload_length };
	s->packets[s->packet_count].count = (uint16_t)(s->part_count - s->packets[s->packet_count].first);
	s->packet_count++;
	message->count++;
	message->total += length;
	message->closed |= length < message->size;
}

static bool fits_peer(const struct peer *peer, const uint8_t *bytes, const struct packet *packet, uint32_t length)
{
	uint32_t mtu = atomic_load_explicit(&peer->mtu, memory_order_relaxed);

	if (length > UDP_MESSAGE_MAX)
		return false;
	return mtu == 0 || length <= mtu || (packet->family == DENIM_V4 && !(bytes[6] & DONT_FRAGMENT));
}

static void drop(struct queue *queue, enum denim_udp_drop reason)
{
	udp_count(queue, DROPS + reason, 1);
}

static void cut_and_gather(struct queue *queue, struct peer *peer, struct split *split)
{
	struct sender *s = &queue->sender;
	struct segment segment;

	for (;;) {
		if (s->packet_count == UDP_SLOTS || s->message_count == UDP_MESSAGES)
			flush(queue);
		if (!split_next(split, s->headers[s->packet_count], &segment))
			return;
		gather(queue, peer, &segment);
	}
}

/* One packet from the device. */
static void take(struct queue *queue, const struct virtio_net_hdr *header, uint8_t *bytes, size_t length)
{
	struct packet packet;
	struct split split;
	struct peer *peer;

	if (!packet_parse(bytes, length, &packet)) {
		drop(queue, DENIM_DROP_MALFORMED);
		return;
	}
	peer = peers_find(queue->table, packet.family, packet_destination(bytes, packet.family));
	if (!peer || socket_for(queue, peer) < 0) {
		drop(queue, DENIM_DROP_NO_PEER);
		udp_send_icmp(queue, ICMP_NO_WAY, bytes, &packet, 0);
		return;
	}
	if (!packet_count_down(bytes, packet.family)) {
		drop(queue, DENIM_DROP_TTL);
		udp_send_icmp(queue, ICMP_TIME_OVER, bytes, &packet, 0);
		return;
	}
	if (!split_begin(&split, header, bytes, length)) {
		drop(queue, DENIM_DROP_OFFLOAD);
		return;
	}
	if (!fits_peer(peer, bytes, &packet, split_first_length(&split))) {
		drop(queue, DENIM_DROP_TOO_BIG);
		udp_send_icmp(queue, ICMP_TOO_LONG, bytes, &packet, atomic_load(&peer->mtu));
		return;
	}
	cut_and_gather(queue, peer, &split);
}

int udp_from_device(struct queue *queue)
{
	struct sender *s = &queue->sender;
	struct virtio_net_hdr header;
	int reads = 0;
	ssize_t length = 0;

	for (; reads < UDP_READS; reads++) {
		if (UDP_ARENA - s->used < sizeof(header) + PACKET_ROOM) {
			flush(queue);
			s->used = 0;
		}
		length = read(queue->tun, s->arena + s->used, sizeof(header) + PACKET_ROOM);
		if (length < (ssize_t)sizeof(header))
			break;
		memcpy(&header, s->arena + s->used, sizeof(header));
		udp_count(queue, DEVICE_READS, 1);
		take(queue, &header, s->arena + s->used + sizeof(header), (size_t)length - sizeof(header));
		s->used += ((uint32_t)length + 63) & ~63u;
	}
	if (length < 0 && errno != EAGAIN && errno != EINTR)
		reads = -errno;
	flush(queue);
	s->used = 0;
	return reads > 0 ? 1 : reads;
}
