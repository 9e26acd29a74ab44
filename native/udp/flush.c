/*
 * The wire's end of the way out: what has one size, one peer and one socket is gathered into one message, and several
 * messages are handed to the kernel at once.
 *
 * Where the kernel refuses a message of several packets they are sent one by one. If that goes it stays so for a while:
 * for this peer (EMSGSIZE, EINVAL: its path takes no such message), or for good for the queue (EIO: the underlay's device
 * cannot make the checksums). A plain datagram may be fragmented on the way; one with UDP_SEGMENT may not. What a sender
 * without the kernel's help cannot send (its packets are not fragmented here either) goes over the plain socket.
 *
 * A full socket buffer is waited for, but only so long in one flush, since nothing is received meanwhile.
 */
#include "udp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { SEND_PATIENCE = 100 /* ms */ };

static void account(struct queue *queue, struct peer *peer, uint64_t packets, uint64_t bytes)
{
	udp_count(queue, SENT_MESSAGES, 1);
	udp_count(queue, SENT_PACKETS, packets);
	udp_count(queue, SENT_BYTES, bytes);
	atomic_fetch_add_explicit(&peer->sent_packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&peer->sent_bytes, bytes, memory_order_relaxed);
}

static bool is_room(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

static void drop_one(struct queue *queue, int error)
{
	udp_drop(queue, is_room(error) ? DENIM_DROP_BUSY : DENIM_DROP_SEND);
}

/* Worth another call: interrupted, or there is room again. */
static bool again(struct queue *queue, int fd, int error)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLOUT }, { .fd = queue->udp->stop_fd, .events = POLLIN } };

	if (error == EINTR)
		return true;
	if (error != EAGAIN || queue->sender.patience == 0)
		return false;
	queue->sender.patience--;
	if (poll(fds, 2, queue->sender.patience + 1) > 0 && !fds[1].revents)
		return true;
	queue->sender.patience = 0;
	return false;
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
		int error = errno;

		if (again(queue, fd, error))
			continue;
		drop_one(queue, error);
		return false;
	}
	account(queue, peer, 1, length_of(parts, count));
	return true;
}

/* The packets of a message that was refused. */
static void send_apart(struct queue *queue, const struct message *message, int error)
{
	struct sender *s = &queue->sender;
	bool any = false;

	for (uint32_t i = message->first; i < message->first + message->count; i++) {
		any |= send_one(queue, message->fd, message->peer, &s->parts[s->packets[i].first], s->packets[i].count);
	}
	if (any && error == EIO)
		udp_give_up(queue, DENIM_UDP_SEGMENT);
	if (any && (error == EMSGSIZE || error == EINVAL))
		atomic_store_explicit(&message->peer->alone_until, queue->now + UDP_ALONE, memory_order_relaxed);
}

static void refused(struct queue *queue, const struct message *message, int error)
{
	struct sender *s = &queue->sender;
	struct iovec *parts = &s->parts[s->packets[message->first].first];
	size_t count = s->packets[message->first].count;

	if (message->count > 1)
		send_apart(queue, message, error);
	else if (queue->udp->sender->head && !is_room(error))
		send_one(queue, udp_socket_for(queue, message->peer), message->peer, parts + 1, count - 1);
	else
		drop_one(queue, error);
}

/* How many messages went, or -1. */
static int submit(const struct queue *queue, int fd, struct mmsghdr *heads, uint32_t count)
{
	if (queue->udp->settings.plain)
		return sendmsg(fd, &heads->msg_hdr, MSG_DONTWAIT) < 0 ? -1 : 1;
	return sendmmsg(fd, heads, count, MSG_DONTWAIT);
}

/* `count` messages over one socket. */
static void send_run(struct queue *queue, int fd, uint32_t first, uint32_t count)
{
	struct sender *s = &queue->sender;
	uint32_t end = first + count;

	while (first < end) {
		int sent = submit(queue, fd, &s->heads[first], end - first), error = errno;

		if (sent < 0 && again(queue, fd, error))
			continue;
		if (sent <= 0) {
			refused(queue, &s->messages[first++], error);
			continue;
		}
		for (; sent > 0; sent--, first++)
			account(queue, s->messages[first].peer, s->messages[first].count, s->messages[first].total);
	}
}

static void strip_port(struct sender *s, uint32_t index)
{
	struct sockaddr_storage *to = &s->receivers[index];
	struct msghdr *head = &s->heads[index].msg_hdr;

	memcpy(to, head->msg_name, head->msg_namelen);
	if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = 0;
	head->msg_name = to;
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

void udp_flush(struct queue *queue)
{
	struct sender *s = &queue->sender;
	uint32_t first = 0, end;

	s->patience = SEND_PATIENCE;
	for (uint32_t i = 0; i < s->message_count; i++)
		fill_head(s, i);
	for (uint32_t i = 0; queue->udp->sender->head && i < s->message_count; i++)
		strip_port(s, i);
	for (; first < s->message_count; first = end) {
		int fd = s->messages[first].fd;

		for (end = first + 1; end < s->message_count; end++) {
			if (s->messages[end].fd != fd)
				break;
		}
		send_run(queue, fd, first, end - first);
	}
	s->packet_count = s->part_count = s->message_count = 0;
}

uint8_t *udp_slot(struct queue *queue)
{
	struct sender *s = &queue->sender;

	if (s->packet_count == UDP_SLOTS || s->message_count == UDP_MESSAGES)
		udp_flush(queue);
	return s->headers[s->packet_count];
}

static bool may_segment(const struct queue *queue, const struct peer *peer)
{
	return udp_has(queue, DENIM_UDP_SEGMENT) && !queue->udp->sender->head &&
	       queue->now >= atomic_load_explicit(&peer->alone_until, memory_order_relaxed);
}

/* The message that the packet joins, or a new one. There is room for one. */
static struct message *message_for(struct queue *queue, struct peer *peer, uint32_t flow, uint32_t length)
{
	const struct sender_kind *kind = queue->udp->sender;
	struct sender *s = &queue->sender;
	struct message *message = s->message_count > 0 ? &s->messages[s->message_count - 1] : NULL;
	int fd = kind->choose ? kind->choose(queue->udp, peer, flow) : udp_socket_for(queue, peer);

	if (message && message->peer == peer && message->fd == fd && !message->closed && length <= message->size &&
	    message->total + length <= UDP_MESSAGE_MAX && message->count < UDP_MESSAGE_PACKETS)
		return message;
	message = &s->messages[s->message_count++];
	*message = (struct message){ .peer = peer, .fd = fd, .size = length, .first = (uint16_t)s->packet_count };
	message->closed = !may_segment(queue, peer);
	return message;
}

static void add_part(struct sender *s, void *bytes, size_t length)
{
	if (length > 0)
		s->parts[s->part_count++] = (struct iovec){ bytes, length };
}

/* The outer headers go before the parts of the packet, which are behind one free place. */
static void put_outer(struct queue *queue, struct peer *peer, uint32_t flow, uint32_t first)
{
	struct sender *s = &queue->sender;
	uint8_t *outer = s->outers[s->message_count - 1];
	struct iovec *parts = &s->parts[first];

	parts->iov_base = outer;
	parts->iov_len = queue->udp->sender->head(queue->udp, peer, flow, parts + 1, s->part_count - first - 1, outer);
}

void udp_gather(struct queue *queue, struct peer *peer, uint32_t flow, const struct segment *segment)
{
	struct sender *s = &queue->sender;
	uint32_t length = segment->header_length + segment->payload_length, first = s->part_count;
	struct message *message = message_for(queue, peer, flow, length);
	bool outer = queue->udp->sender->head != NULL;

	s->part_count += outer;
	add_part(s, s->headers[s->packet_count], segment->header_length);
	add_part(s, s->arena + (segment->payload - s->arena), segment->payload_length);
	if (outer)
		put_outer(queue, peer, flow, first);
	s->packets[s->packet_count].first = (uint16_t)first;
	s->packets[s->packet_count++].count = (uint16_t)(s->part_count - first);
	message->count++;
	message->total += length;
	message->closed |= length < message->size;
}
