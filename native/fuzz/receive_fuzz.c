/*
 * What comes over the wire: datagrams with two octets of length each, either parsed, complained about, counted down and put
 * together one by one, each a heap block of its own size; or received by a whole queue, whose recvmmsg and writev are this
 * program's: from known and unknown addresses, several packets a message, what is behind a message poisoned.
 *
 * The first byte chooses the way, and whether sums are put right: random bytes never have right ones, and behind their
 * check are the rules of coalescing. Every super-packet that is made must be one that can be
 * cut again into the very packets it was made of, but for the identification of IPv4 packets that must not be fragmented;
 * and what goes in must come out.
 */
#include "../udp/udp.h"

#include "../bytes.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

enum { PACKETS = 64, DONT_FRAGMENT = 0x40 };

static uint32_t written; /* packets */

static uint8_t *copy_of(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, length);
	return copy;
}

static void check(bool so)
{
	if (!so)
		abort();
}

/* The identification means nothing there, and the header's checksum goes with it. */
static bool same(const uint8_t *cut, const uint8_t *original, uint32_t length)
{
	if (cut[0] >> 4 != 4 || cut[6] != DONT_FRAGMENT)
		return memcmp(cut, original, length) == 0;
	return memcmp(cut, original, 4) == 0 && memcmp(cut + 6, original + 6, 4) == 0 &&
	       memcmp(cut + 12, original + 12, length - 12) == 0;
}

/* The super-packet, cut again: the packets that lie unchanged behind its parts. */
static void compare(const struct virtio_net_hdr *header, uint8_t *whole, size_t length, const struct iovec *parts, int count,
		    uint8_t header_length)
{
	static uint8_t packet[PACKET_ROOM];
	uint8_t slot[SPLIT_HEADER_MAX];
	struct segment segment;
	struct split split;

	check(split_begin(&split, header, whole, length));
	for (int i = 2; i < count; i++) {
		check(split_next(&split, slot, &segment));
		check(segment.header_length == header_length && segment.payload_length == parts[i].iov_len);
		memcpy(packet, slot, header_length);
		memcpy(packet + header_length, segment.payload, segment.payload_length);
		check(same(packet, (uint8_t *)parts[i].iov_base - header_length, header_length + segment.payload_length));
	}
	check(!split_next(&split, slot, &segment));
}

static void take(void *context, struct iovec *parts, int count, uint8_t header_length)
{
	static uint8_t whole[PACKET_ROOM];
	struct virtio_net_hdr header;
	size_t length = 0;

	(void)context;
	memcpy(&header, parts[0].iov_base, sizeof(header));
	for (int i = 1; i < count; i++) {
		check(length + parts[i].iov_len <= PACKET_LENGTH_MAX);
		memcpy(whole + length, parts[i].iov_base, parts[i].iov_len);
		length += parts[i].iov_len;
	}
	check(count == 2 || (count > 3 && header_length > 0));
	written += count == 2 ? 1 : (uint32_t)count - 2;
	if (count > 2)
		compare(&header, whole, length, parts, count, header_length);
}

static void seal(uint8_t *bytes, const struct packet *packet)
{
	uint32_t rest = packet->length - packet->transport;
	uint8_t *at = bytes + packet->transport + (packet->protocol == 17 ? 6 : 16);
	uint64_t sum;

	if (packet->family == DENIM_V4)
		packet_seal_ip(bytes);
	if (packet->payload == packet->transport)
		return;
	store_u16(at, 0);
	sum = checksum_pseudo(bytes, packet->family, packet->protocol, rest);
	store_u16(at, (uint16_t)~checksum_fold(checksum_add(sum, bytes + packet->transport, rest)));
}

/* No error is longer than its room, none is about another error. */
static void complain(const uint8_t *bytes, const struct packet *packet)
{
	static const uint8_t us[16] = { 10, 0, 0, 1 };
	uint8_t *out = malloc(ICMP_ROOM);
	struct packet error;

	check(out != NULL);
	for (int kind = ICMP_TIME_OVER; kind <= ICMP_TOO_LONG; kind++) {
		uint32_t length = icmp_build((enum icmp_kind)kind, bytes, packet, us, 1300, out);

		check(length == 0 || (packet_parse(out, length, &error) && error.length == length));
		check(length == 0 || icmp_build(ICMP_NO_WAY, out, &error, us, 0, out) == 0);
	}
	free(out);
}

static void from_wire(const uint8_t *bytes, size_t length, bool whole)
{
	static struct coalescer c;
	uint8_t *copies[PACKETS];
	struct packet packet;
	size_t count = 0, size;
	uint32_t taken = 0;

	written = 0;
	c = (struct coalescer){ .write = take, .tcp = true, .udp = true };
	for (; length >= 2 && count < PACKETS; bytes += size, length -= size) {
		size = get_u16(bytes) % 2048;
		bytes += 2;
		length -= 2;
		size = size < length ? size : length;
		copies[count++] = copy_of(bytes, size);
		if (!packet_parse(copies[count - 1], size, &packet))
			continue;
		if (whole)
			seal(copies[count - 1], &packet);
		complain(copies[count - 1], &packet);
		packet_flow(copies[count - 1], &packet);
		packet_count_down(copies[count - 1], packet.family);
		coalesce_add(&c, copies[count - 1], &packet, size);
		taken++;
	}
	coalesce_flush(&c);
	check(written == taken);
	while (count > 0)
		free(copies[--count]);
}

/* What the queue's recvmmsg hands out. */
static struct {
	const uint8_t *bytes;
	size_t length;
	bool whole;
} feed;

static void seal_pieces(uint8_t *bytes, uint32_t length, uint32_t size)
{
	struct packet packet;

	for (uint32_t piece; length > 0; bytes += piece, length -= piece) {
		piece = size > 0 && size < length ? size : length;
		if (packet_parse(bytes, piece, &packet))
			seal(bytes, &packet);
	}
}

/* Of the two octets: 11 bits of length, 2 of the source (two known, an unknown, one of IPv6), 3 of packets in it. */
static void fill(struct mmsghdr *head)
{
	uint32_t start = get_u16(feed.bytes), length = start & 2047, parts = start >> 13, from = start >> 11 & 3, size;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + from) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct msghdr *message = &head->msg_hdr;
	uint8_t *buffer = message->msg_iov->iov_base;
	struct cmsghdr *control = message->msg_control;

	feed.bytes += 2;
	feed.length -= 2;
	length = length < feed.length ? length : (uint32_t)feed.length;
	size = parts > 0 ? length / parts : 0;
	memcpy(buffer, feed.bytes, length);
	feed.bytes += length;
	feed.length -= length;
	if (feed.whole)
		seal_pieces(buffer, length, size);
	memcpy(message->msg_name, from < 3 ? (void *)&v4 : (void *)&v6, from < 3 ? sizeof(v4) : sizeof(v6));
	*control = (struct cmsghdr){ .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_GRO, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(control), &size, sizeof(int));
	message->msg_controllen = size > 0 ? CMSG_SPACE(sizeof(int)) : 0;
	head->msg_len = length;
	ASAN_POISON_MEMORY_REGION(buffer + length, UDP_RECEIVE_ROOM - length);
}

int recvmmsg(int fd, struct mmsghdr *heads, unsigned int count, int flags, struct timespec *timeout)
{
	unsigned int filled = 0;

	(void)fd, (void)flags, (void)timeout;
	for (; filled < count && feed.length >= 2; filled++) {
		ASAN_UNPOISON_MEMORY_REGION(heads[filled].msg_hdr.msg_iov->iov_base, UDP_RECEIVE_ROOM);
		fill(&heads[filled]);
	}
	return (int)filled;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	struct iovec copy[2 + COALESCE_SEGMENTS + 1];

	(void)fd;
	check((size_t)count <= sizeof(copy) / sizeof(copy[0]));
	memcpy(copy, parts, (size_t)count * sizeof(*parts));
	take(NULL, copy, count, count > 2 ? (uint8_t)parts[1].iov_len : 0);
	return 1;
}

static struct queue *make_queue(void)
{
	static const struct denim_udp_peer records[] = {
		{ .family = DENIM_V4, .length = 16, .subnet = { 10, 1 }, .underlay_family = DENIM_V4, .address = { 127, 0, 0, 1 }, .port = 1 },
		{ .family = DENIM_V6, .length = 32, .subnet = { 0xfd, 1 }, .underlay_family = DENIM_V4, .address = { 127, 0, 0, 1 }, .port = 1 },
		{ .family = DENIM_V4, .length = 0, .underlay_family = DENIM_V4, .address = { 127, 0, 0, 2 }, .port = 1 },
	};
	static struct denim_udp udp = { .raw_v4 = -1, .raw_v6 = -1, .settings.accept_moved = 1 };
	static struct queue queue = { .udp = &udp, .features = DENIM_UDP_TSO | DENIM_UDP_USO };
	uint64_t seed = 1;
	int error;

	if (!queue.table) {
		queue.table = peers_build(records, 3, NULL, &seed, &error);
		check(queue.table != NULL);
		udp_receive_init(&queue);
	}
	return &queue;
}

static void through_a_queue(const uint8_t *bytes, size_t length, bool whole)
{
	struct queue *queue = make_queue();
	uint64_t before = queue->counters[RECEIVED_PACKETS];

	feed.bytes = bytes;
	feed.length = length;
	feed.whole = whole;
	written = 0;
	while (udp_from_wire(queue, 0) > 0)
		;
	check(queue->counters[RECEIVED_PACKETS] - before == written && queue->counters[DROPS + DENIM_DROP_DEVICE] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	if (length == 0)
		return 0;
	if (input[0] & 2)
		through_a_queue(input + 1, length - 1, input[0] & 1);
	else
		from_wire(input + 1, length - 1, input[0] & 1);
	return 0;
}
