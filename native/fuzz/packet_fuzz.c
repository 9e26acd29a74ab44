/*
 * The datapath's readers of foreign bytes: what a TUN device hands out (virtio header and packet: parsed, cut) and what
 * comes over the wire (datagrams with two octets of length each: parsed, complained about, counted down, put together).
 *
 * The first byte chooses. Each packet is a heap block of its own size. Every super-packet that is made must be one that can
 * be cut again, into as many packets as it was made of.
 */
#include "../icmp.h"
#include "../packet.h"

#include "../bytes.h"

#include <stdlib.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

enum { PACKETS = 64 };

static uint8_t *copy_of(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, length);
	return copy;
}

static uint32_t cut(const struct virtio_net_hdr *header, uint8_t *bytes, size_t length)
{
	uint8_t slot[SPLIT_HEADER_MAX];
	struct segment segment;
	struct split split;
	uint32_t count = 0, sum = 0;

	if (!split_begin(&split, header, bytes, length))
		return 0;
	while (split_next(&split, slot, &segment)) {
		for (uint32_t i = 0; i < segment.payload_length; i++)
			sum += segment.payload[i];
		count++;
	}
	return sum == UINT32_MAX ? 0 : count;
}

static void from_tun(const uint8_t *bytes, size_t length)
{
	struct virtio_net_hdr header;
	uint8_t *copy;

	if (length < sizeof(header))
		return;
	memcpy(&header, bytes, sizeof(header));
	copy = copy_of(bytes + sizeof(header), length - sizeof(header));
	cut(&header, copy, length - sizeof(header));
	free(copy);
}

static void take(void *context, struct iovec *parts, int count, uint8_t header_length)
{
	static uint8_t whole[PACKET_ROOM];
	struct virtio_net_hdr header;
	size_t length = 0;

	(void)context;
	memcpy(&header, parts[0].iov_base, sizeof(header));
	for (int i = 1; i < count; i++) {
		if (length + parts[i].iov_len > PACKET_LENGTH_MAX)
			abort();
		memcpy(whole + length, parts[i].iov_base, parts[i].iov_len);
		length += parts[i].iov_len;
	}
	if (count == 3 || (count > 3 && header_length == 0))
		abort();
	if (cut(&header, whole, length) != (count > 2 ? (uint32_t)count - 2 : 1))
		abort();
}

/* Sums that random bytes never have, put right: behind the check are the rules of coalescing. */
static void seal(uint8_t *bytes, const struct packet *packet)
{
	uint32_t rest = packet->length - packet->transport;
	uint8_t *check = bytes + packet->transport + (packet->protocol == 17 ? 6 : 16);
	uint64_t sum;

	if (packet->family == DENIM_V4)
		packet_seal_ip(bytes);
	if (packet->payload == packet->transport)
		return;
	store_u16(check, 0);
	sum = checksum_pseudo(bytes, packet->family, packet->protocol, rest);
	store_u16(check, (uint16_t)~checksum_fold(checksum_add(sum, bytes + packet->transport, rest)));
}

/* No error is longer than its room, none is about another error. */
static void complain(const uint8_t *bytes, const struct packet *packet)
{
	static const uint8_t us[16] = { 10, 0, 0, 1 };
	uint8_t *out = malloc(ICMP_ROOM);
	struct packet error;

	if (!out)
		abort();
	for (int kind = ICMP_TIME_OVER; kind <= ICMP_TOO_LONG; kind++) {
		uint32_t length = icmp_build((enum icmp_kind)kind, bytes, packet, us, 1300, out);

		if (length > 0 && (!packet_parse(out, length, &error) || error.length != length))
			abort();
		if (length > 0 && icmp_build(ICMP_NO_WAY, out, &error, us, 0, out) > 0)
			abort();
	}
	free(out);
}

static void from_wire(const uint8_t *bytes, size_t length, bool whole)
{
	static struct coalescer c;
	uint8_t *copies[PACKETS];
	struct packet packet;
	size_t count = 0, size;

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
		packet_count_down(copies[count - 1], packet.family);
		coalesce_add(&c, copies[count - 1], &packet, size);
	}
	coalesce_flush(&c);
	while (count > 0)
		free(copies[--count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	if (length == 0)
		return 0;
	if (input[0] % 3 == 0)
		from_tun(input + 1, length - 1);
	else
		from_wire(input + 1, length - 1, input[0] % 3 == 1);
	return 0;
}
