/* Parsing, counting down and summing inner packets; see packet.h. */
#include "packet.h"

#include "../bytes.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { V4_HEADER = 20, V6_HEADER = 40, TCP_HEADER = 20, UDP_HEADER = 8, MORE_FRAGMENTS = 0x2000, OFFSET = 0x1fff };

const uint8_t *packet_source(const uint8_t *bytes, uint8_t family)
{
	return bytes + (family == DENIM_V4 ? 12 : 8);
}

const uint8_t *packet_destination(const uint8_t *bytes, uint8_t family)
{
	return bytes + (family == DENIM_V4 ? 16 : 24);
}

static bool parse_v4(const uint8_t *bytes, size_t length, struct packet *out)
{
	uint32_t header, fragment;

	if (length < V4_HEADER)
		return false;
	header = (bytes[0] & 15u) * 4;
	out->length = get_u16(bytes + 2);
	if (header < V4_HEADER || out->length < header || out->length > length)
		return false;
	fragment = get_u16(bytes + 6);
	if (fragment & OFFSET)
		out->fragment = PACKET_LATER_FRAGMENT;
	else if (fragment & MORE_FRAGMENTS)
		out->fragment = PACKET_FIRST_FRAGMENT;
	out->plain = header == V4_HEADER;
	out->protocol = bytes[9];
	out->transport = (uint16_t)header;
	return true;
}

/* Where the extension header at `at` ends, 0 where it is cut short. */
static uint32_t extension_end(const uint8_t *bytes, const struct packet *packet, uint32_t at)
{
	uint32_t size;

	if (at + 8 > packet->length)
		return 0;
	if (packet->protocol == IPPROTO_FRAGMENT)
		size = 8;
	else if (packet->protocol == IPPROTO_AH)
		size = (bytes[at + 1] + 2u) * 4;
	else
		size = (bytes[at + 1] + 1u) * 8;
	return at + size <= packet->length ? at + size : 0;
}

static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH;
}

static bool parse_v6(const uint8_t *bytes, size_t length, struct packet *out)
{
	uint32_t at = V6_HEADER, end;

	if (length < V6_HEADER)
		return false;
	out->length = V6_HEADER + (uint32_t)get_u16(bytes + 4);
	if (out->length > length)
		return false;
	out->protocol = bytes[6];
	out->plain = !is_extension(out->protocol);
	/* Behind the header of a later fragment is the middle of something. */
	while (is_extension(out->protocol) && out->fragment != PACKET_LATER_FRAGMENT) {
		end = extension_end(bytes, out, at);
		if (end == 0 || end > UINT16_MAX)
			return false;
		if (out->protocol == IPPROTO_FRAGMENT) {
			uint32_t fragment = get_u16(bytes + at + 2);

			if (fragment & 0xfff8)
				out->fragment = PACKET_LATER_FRAGMENT;
			else if (fragment & 1)
				out->fragment = PACKET_FIRST_FRAGMENT;
		}
		out->protocol = bytes[at];
		at = end;
	}
	out->transport = (uint16_t)at;
	return true;
}

/* Length of the TCP or UDP header; 0 where there is no whole one, or none that agrees with the packet's length. */
static uint32_t transport_header(const uint8_t *bytes, const struct packet *packet)
{
	const uint8_t *at = bytes + packet->transport;
	uint32_t rest = packet->length - packet->transport, header;

	if (packet->fragment == PACKET_LATER_FRAGMENT)
		return 0;
	if (packet->protocol == IPPROTO_UDP)
		return rest >= UDP_HEADER ? UDP_HEADER : 0;
	if (packet->protocol != IPPROTO_TCP || rest < TCP_HEADER)
		return 0;
	header = (at[12] >> 4) * 4u;
	return header >= TCP_HEADER && header <= rest ? header : 0;
}

bool packet_parse(const uint8_t *bytes, size_t length, struct packet *out)
{
	bool good = false;

	*out = (struct packet){ 0 };
	if (length == 0)
		return false;
	if (bytes[0] >> 4 == 4) {
		out->family = DENIM_V4;
		good = parse_v4(bytes, length, out);
	} else if (bytes[0] >> 4 == 6) {
		out->family = DENIM_V6;
		good = parse_v6(bytes, length, out);
	}
	if (good)
		out->payload = (uint16_t)(out->transport + transport_header(bytes, out));
	return good;
}

bool packet_count_down(uint8_t *bytes, uint8_t family)
{
	uint8_t *ttl = bytes + (family == DENIM_V4 ? 8 : 7);
	uint32_t sum;

	if (*ttl <= 1)
		return false;
	--*ttl;
	if (family == DENIM_V4) {
		/* RFC 1624, equation 3, for m' = m - 0x0100: HC' = ~(~HC + ~m + m'). */
		sum = (uint16_t)~get_u16(bytes + 10) + 0xfeffu;
		sum = (sum & 0xffff) + (sum >> 16);
		put_u16(bytes + 10, ~sum & 0xffff);
	}
	return true;
}

/* gcc vectorises a loop of unknown length at -O3 only; clang does at -O2. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("O3")))
#endif
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length)
{
	size_t words = length / 4;

	for (size_t i = 0; i < words; i++) {
		uint32_t word;

		memcpy(&word, bytes + 4 * i, sizeof(word));
		sum += word;
	}
	bytes += 4 * words;
	if (length & 2) {
		sum += load_u16(bytes);
		bytes += 2;
	}
	if (length & 1) {
		const uint8_t last[2] = { *bytes, 0 };

		sum += load_u16(last);
	}
	return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t checksum_pseudo(const uint8_t *bytes, uint8_t family, uint8_t protocol, uint32_t length)
{
	uint64_t sum = (uint64_t)htonl(length) + htonl(protocol);

	return checksum_add(sum, packet_source(bytes, family), family == DENIM_V4 ? 8 : 32);
}

bool packet_verify(const uint8_t *bytes, const struct packet *packet)
{
	uint32_t length = packet->length - packet->transport;
	uint64_t sum;

	if (packet->family == DENIM_V4 && checksum_fold(checksum_add(0, bytes, (bytes[0] & 15u) * 4)) != 0xffff)
		return false;
	if (packet->fragment != PACKET_WHOLE || packet->payload == packet->transport)
		return false;
	if (packet->protocol == IPPROTO_UDP && load_u16(bytes + packet->transport + 6) == 0)
		return false;
	sum = checksum_pseudo(bytes, packet->family, packet->protocol, length);
	return checksum_fold(checksum_add(sum, bytes + packet->transport, length)) == 0xffff;
}

static bool has_ports(const struct packet *packet)
{
	return packet->length >= packet->transport + 4u &&
	       (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP || packet->protocol == IPPROTO_SCTP ||
		packet->protocol == IPPROTO_DCCP || packet->protocol == IPPROTO_UDPLITE);
}

uint32_t packet_flow(const uint8_t *bytes, const struct packet *packet)
{
	const uint8_t *hosts = packet_source(bytes, packet->family);
	size_t words = packet->family == DENIM_V4 ? 2 : 8;
	uint64_t mixed = 0, tail = 0;

	if (packet->fragment == PACKET_WHOLE) {
		tail = (uint64_t)packet->protocol << 32;
		if (has_ports(packet))
			tail |= get_u32(bytes + packet->transport);
		else if (packet->family == DENIM_V6)
			tail |= get_u32(bytes) & 0xfffff;
	}
	for (size_t i = 0; i < words; i++)
		mixed = (mixed ^ mixed >> 32 ^ get_u32(hosts + 4 * i)) * 0x9e3779b97f4a7c15u;
	mixed = (mixed ^ mixed >> 32 ^ tail) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(mixed >> 32);
}

void packet_seal_ip(uint8_t *bytes)
{
	store_u16(bytes + 10, 0);
	store_u16(bytes + 10, (uint16_t)~checksum_fold(checksum_add(0, bytes, (bytes[0] & 15u) * 4)));
}
