/*
 * Super-packets of a TUN device, cut into the packets that go over the wire; see packet.h.
 *
 * The payload is never copied: a segment is a header in the caller's slot and a pointer. Of TCP's flags CWR is on the first
 * segment only, FIN and PSH on the last; IPv4 identifications count up.
 *
 * Checksums cover the addresses that the ends see. A routing header, a source route of IPv4 and a home address option put
 * other ones into the IP header on the way, so behind options and extension headers nothing is computed from that: the
 * device's own partial sum, which has the right ones in it, is taken instead.
 */
#include "packet.h"

#include "../bytes.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>

enum { FIN = 1, PSH = 8, CWR = 128 };

static uint8_t super_protocol(uint8_t gso, uint8_t family)
{
	switch (gso & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return family == DENIM_V4 ? IPPROTO_TCP : 0;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return family == DENIM_V6 ? IPPROTO_TCP : 0;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return IPPROTO_UDP;
	default:
		return 0;
	}
}

/* The field holds the pseudo-header's sum; the rest of the sum goes to it, inverted. */
static bool complete_checksum(const struct virtio_net_hdr *header, uint8_t *bytes, const struct packet *packet)
{
	uint32_t start = le16toh(header->csum_start), at = start + le16toh(header->csum_offset);
	uint16_t check;

	if (start < packet->transport || at + 2 > packet->length)
		return false;
	check = (uint16_t)~checksum_fold(checksum_add(0, bytes + start, packet->length - start));
	if (check == 0 && packet->protocol == IPPROTO_UDP)
		check = 0xffff;
	store_u16(bytes + at, check);
	return true;
}

/* The sum of the pseudo-header but for the length. False where it is not to be known. */
static bool find_pseudo(struct split *split, const struct virtio_net_hdr *header)
{
	const struct packet *packet = &split->packet;
	uint32_t offset = packet->protocol == IPPROTO_TCP ? 16 : 6, length = packet->length - packet->transport;

	if (packet->plain) {
		split->pseudo = checksum_pseudo(split->bytes, packet->family, packet->protocol, 0);
		return true;
	}
	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || le16toh(header->csum_start) != packet->transport ||
	    le16toh(header->csum_offset) != offset)
		return false;
	split->pseudo = load_u16(split->bytes + packet->transport + offset) + (uint64_t)(uint16_t)~checksum_fold(htonl(length));
	return true;
}

bool split_begin(struct split *split, const struct virtio_net_hdr *header, uint8_t *bytes, size_t length)
{
	struct packet *packet = &split->packet;

	*split = (struct split){ .bytes = bytes };
	if (!packet_parse(bytes, length, packet) || packet->length != length)
		return false;
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return !(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || complete_checksum(header, bytes, packet);
	split->size = le16toh(header->gso_size);
	split->offset = packet->payload;
	return split->size > 0 && packet->protocol == super_protocol(header->gso_type, packet->family) &&
	       packet->fragment == PACKET_WHOLE && packet->payload > packet->transport &&
	       packet->payload <= SPLIT_HEADER_MAX && find_pseudo(split, header);
}

static uint32_t segment_payload(const struct split *split)
{
	uint32_t rest = split->packet.length - split->offset;

	return rest < split->size ? rest : split->size;
}

uint32_t split_first_length(const struct split *split)
{
	uint32_t whole = split->packet.payload + split->size;

	return split->size > 0 && whole < split->packet.length ? whole : split->packet.length;
}

static void fix_ip(const struct split *split, uint8_t *header, uint32_t length)
{
	if (split->packet.family == DENIM_V6) {
		put_u16(header + 4, length - 40);
		return;
	}
	put_u16(header + 2, length);
	put_u16(header + 4, (get_u16(header + 4) + split->index) & 0xffff);
	packet_seal_ip(header);
}

/* Returns where the checksum stands. */
static uint8_t *fix_transport(const struct split *split, uint8_t *transport, uint32_t payload, bool last)
{
	if (split->packet.protocol == IPPROTO_UDP) {
		put_u16(transport + 4, 8 + payload);
		return transport + 6;
	}
	put_u32(transport + 4, get_u32(transport + 4) + split->index * split->size);
	if (split->index > 0)
		transport[13] &= (uint8_t)~CWR;
	if (!last)
		transport[13] &= (uint8_t)~(FIN | PSH);
	return transport + 16;
}

static void cut(const struct split *split, uint8_t *header, const struct segment *segment, bool last)
{
	const struct packet *packet = &split->packet;
	uint32_t transport_length = packet->payload - packet->transport;
	uint32_t length = transport_length + segment->payload_length;
	uint8_t *transport = header + packet->transport, *check;
	uint64_t sum;

	memcpy(header, split->bytes, packet->payload);
	fix_ip(split, header, segment->header_length + segment->payload_length);
	check = fix_transport(split, transport, segment->payload_length, last);
	store_u16(check, 0);
	sum = checksum_add(split->pseudo + htonl(length), transport, transport_length);
	sum = checksum_add(sum, segment->payload, segment->payload_length);
	store_u16(check, (uint16_t)~checksum_fold(sum));
	if (packet->protocol == IPPROTO_UDP && load_u16(check) == 0)
		store_u16(check, 0xffff);
}

bool split_next(struct split *split, uint8_t header[SPLIT_HEADER_MAX], struct segment *out)
{
	bool last;

	if (split->size == 0) {
		*out = (struct segment){ .payload_length = split->packet.length, .payload = split->bytes };
		return split->index++ == 0;
	}
	if (split->offset >= split->packet.length && split->index > 0)
		return false;
	out->header_length = split->packet.payload;
	out->payload_length = segment_payload(split);
	out->payload = split->bytes + split->offset;
	last = split->offset + out->payload_length >= split->packet.length;
	cut(split, header, out, last);
	split->offset += out->payload_length;
	split->index++;
	return true;
}
