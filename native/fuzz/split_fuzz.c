/*
 * What a TUN device hands out: an offload header and a (super-)packet of any kind, parsed and cut.
 *
 * The packet is a heap block of its own size. Every piece must be a packet that says its own length and is no longer than
 * the first; the payloads one behind the other must be the whole's, with sequence numbers to match; and where the addresses
 * are those of the ends, its checksums must hold.
 */
#include "../udp/packet.h"

#include "../bytes.h"

#include <netinet/in.h>
#include <stdlib.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static void check(bool so)
{
	if (!so)
		abort();
}

static void check_piece(const struct split *split, const uint8_t *slot, const struct segment *segment, uint32_t offset)
{
	uint32_t length = segment->header_length + segment->payload_length;
	uint8_t *piece = malloc(length);
	struct packet packet;

	check(piece != NULL);
	memcpy(piece, slot, segment->header_length);
	memcpy(piece + segment->header_length, segment->payload, segment->payload_length);
	check(packet_parse(piece, length, &packet) && packet.length == length);
	check(packet.payload == segment->header_length && packet.protocol == split->packet.protocol);
	check(!split->packet.plain || packet_verify(piece, &packet));
	check(packet.protocol != IPPROTO_TCP ||
	      get_u32(piece + packet.transport + 4) == get_u32(split->bytes + packet.transport + 4) + offset);
	check(packet_flow(piece, &packet) == packet_flow(split->bytes, &split->packet));
	free(piece);
}

static void cut(const struct virtio_net_hdr *header, uint8_t *bytes, size_t length)
{
	uint8_t slot[SPLIT_HEADER_MAX];
	struct segment segment;
	struct split split;
	uint32_t count = 0, first, at;

	if (!split_begin(&split, header, bytes, length))
		return;
	first = split_first_length(&split);
	at = split.size > 0 ? split.packet.payload : 0;
	for (; split_next(&split, slot, &segment); count++) {
		uint32_t piece = segment.header_length + segment.payload_length;

		check(segment.payload == bytes + at && (count > 0 ? piece <= first : piece == first));
		if (split.size > 0)
			check_piece(&split, slot, &segment, at - split.packet.payload);
		at += segment.payload_length;
	}
	check(count > 0 && at == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct virtio_net_hdr header;
	uint8_t *copy;

	if (length < sizeof(header))
		return 0;
	memcpy(&header, input, sizeof(header));
	length -= sizeof(header);
	copy = malloc(length ? length : 1);
	check(copy != NULL);
	memcpy(copy, input + sizeof(header), length);
	cut(&header, copy, length);
	free(copy);
	return 0;
}
