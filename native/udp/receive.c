/*
 * From the wire to the device: datagrams of known peers, with inner sources of theirs, put together and written.
 *
 * Where the device refuses a super-packet its packets are written one by one, and if that goes, no more of its kind are made.
 */
#include "udp.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Every packet that lies unchanged behind a refused super-packet. */
static bool write_apart(struct queue *queue, struct iovec *parts, int count, uint8_t header_length)
{
	struct virtio_net_hdr none = { 0 };
	bool any = false;

	for (int i = 2; i < count; i++) {
		struct iovec one[] = { { &none, sizeof(none) }, /* only a device with such headers gets super-packets */
				       { (uint8_t *)parts[i].iov_base - header_length, parts[i].iov_len + header_length } };
		bool good = writev(queue->tun, one, 2) >= 0;

		udp_count(queue, good ? DEVICE_WRITES : DROPS + DENIM_DROP_DEVICE, 1);
		any |= good;
	}
	return any;
}

static void give_up_super_packets(struct queue *queue, const struct virtio_net_hdr *header)
{
	bool udp = header->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;

	udp_give_up(queue, udp ? DENIM_UDP_USO : DENIM_UDP_TSO);
	if (udp)
		queue->receiver.coalescer.udp = false;
	else
		queue->receiver.coalescer.tcp = false;
}

static void write_device(void *context, struct iovec *parts, int count, uint8_t header_length)
{
	struct queue *queue = context;
	int error;

	if (udp_device_header(queue) == 0) {
		parts++;
		count--;
	}
	if (writev(queue->tun, parts, count) >= 0) {
		udp_count(queue, DEVICE_WRITES, 1);
		return;
	}
	error = errno;
	if (count <= 2)
		udp_count(queue, DROPS + DENIM_DROP_DEVICE, 1);
	else if (write_apart(queue, parts, count, header_length) && error == EINVAL)
		give_up_super_packets(queue, parts[0].iov_base);
}

void udp_receive_init(struct queue *queue)
{
	struct coalescer *c = &queue->receiver.coalescer;

	c->write = write_device;
	c->context = queue;
	c->tcp = udp_has(queue, DENIM_UDP_TSO);
	c->udp = udp_has(queue, DENIM_UDP_USO);
}

/* 0 where the kernel did not say: one datagram. */
static uint32_t gro_size(struct msghdr *head)
{
	int size = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c; c = CMSG_NXTHDR(head, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&size, CMSG_DATA(c), sizeof(size));
	}
	return size > 0 ? (uint32_t)size : 0;
}

/* Where a datagram came from. */
struct origin {
	const uint8_t *address;
	uint8_t family;
	uint32_t owner; /* its number; 0: no peer has it */
};

/*
 * The peer whose inner source this is may have sent it. From a known address it must be that peer's own: moved peers are
 * looked for among the others only, lest a peer takes another's place.
 */
static bool accepted(struct peer *peer, uint32_t owner, const struct origin *from)
{
	return from->owner ? owner == from->owner : peer_moved_to(peer, from->family, from->address);
}

/* One inner packet; from an address that nobody has only where moved peers are accepted. */
static void take(struct queue *queue, const struct origin *from, uint8_t *bytes, uint32_t length)
{
	struct packet packet;
	struct peer *peer;
	uint32_t owner = 0;

	if (!packet_parse(bytes, length, &packet)) {
		udp_drop(queue, from->owner ? DENIM_DROP_MALFORMED : DENIM_DROP_STRANGER);
		return;
	}
	peer = peers_find(queue->table, packet.family, packet_source(bytes, packet.family), &owner);
	if (!peer || !accepted(peer, owner, from)) {
		udp_drop(queue, from->owner ? DENIM_DROP_SPOOFED : DENIM_DROP_STRANGER);
		return;
	}
	if (!packet_count_down(bytes, packet.family)) {
		udp_drop(queue, DENIM_DROP_TTL);
		udp_send_icmp(queue, ICMP_TIME_OVER, bytes, &packet, 0);
		return;
	}
	udp_count(queue, RECEIVED_PACKETS, 1);
	udp_count(queue, RECEIVED_BYTES, packet.length);
	atomic_fetch_add_explicit(&peer->received_packets, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&peer->received_bytes, packet.length, memory_order_relaxed);
	coalesce_add(&queue->receiver.coalescer, bytes, &packet, length);
}

static struct origin origin_of(const struct queue *queue, const struct sockaddr_storage *source)
{
	bool v4 = source->ss_family == AF_INET;
	struct origin from = { .family = v4 ? DENIM_V4 : DENIM_V6 };

	from.address = v4 ? (const uint8_t *)&((const struct sockaddr_in *)source)->sin_addr
			  : (const uint8_t *)&((const struct sockaddr_in6 *)source)->sin6_addr;
	from.owner = peers_owner(queue->table, from.family, from.address);
	return from;
}

static void take_message(struct queue *queue, struct mmsghdr *message, uint8_t *bytes)
{
	struct origin from = origin_of(queue, message->msg_hdr.msg_name);
	bool maybe = from.owner != 0 || queue->udp->settings.accept_moved;
	uint32_t rest = message->msg_len, size = gro_size(&message->msg_hdr), length;

	size = size > 0 ? size : rest;
	udp_count(queue, RECEIVED_MESSAGES, 1);
	if (rest == 0)
		udp_drop(queue, from.owner ? DENIM_DROP_MALFORMED : DENIM_DROP_STRANGER);
	for (; rest > 0; rest -= length, bytes += length) {
		length = rest < size ? rest : size;
		if (maybe)
			take(queue, &from, bytes, length);
		else
			udp_drop(queue, DENIM_DROP_STRANGER);
	}
}

static void prepare(struct receiver *r, int count)
{
	for (int i = 0; i < count; i++) {
		r->parts[i] = (struct iovec){ r->buffers[i], UDP_RECEIVE_ROOM };
		r->heads[i].msg_hdr = (struct msghdr){
			.msg_name = &r->sources[i],
			.msg_namelen = sizeof(r->sources[i]),
			.msg_iov = &r->parts[i],
			.msg_iovlen = 1,
			.msg_control = &r->controls[i],
			.msg_controllen = sizeof(r->controls[i].bytes),
		};
	}
}

/* What the network may say about an earlier datagram, or the kernel about its memory. */
static bool passes(int error)
{
	return error == EINTR || error == EAGAIN || error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
	       error == ENETDOWN || error == EHOSTDOWN || error == EPROTO || error == EMSGSIZE || error == ENOBUFS ||
	       error == ENOMEM || error == EPERM || error == EACCES || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

/* How many messages there were, or -1. */
static int receive(struct queue *queue, int fd)
{
	struct receiver *r = &queue->receiver;
	ssize_t length;

	if (!queue->udp->settings.plain) {
		prepare(r, UDP_RECEIVES);
		return recvmmsg(fd, r->heads, UDP_RECEIVES, MSG_DONTWAIT, NULL);
	}
	prepare(r, 1);
	length = recvmsg(fd, &r->heads[0].msg_hdr, MSG_DONTWAIT);
	r->heads[0].msg_len = length < 0 ? 0 : (unsigned int)length;
	return length < 0 ? -1 : 1;
}

int udp_from_wire(struct queue *queue, int fd)
{
	struct receiver *r = &queue->receiver;
	int count;

	if (fd < 0)
		return 0;
	count = receive(queue, fd);
	if (count < 0)
		return passes(errno) ? 0 : -errno;
	for (int i = 0; i < count; i++)
		take_message(queue, &r->heads[i], r->buffers[i]);
	coalesce_flush(&r->coalescer);
	return count > 0;
}
