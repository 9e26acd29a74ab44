/* Building ICMP errors; see icmp.h. */
#include "icmp.h"

#include "../bytes.h"

#include <netinet/in.h>

enum { V4_LIMIT = 576, V4_HEADER = 20, V6_HEADER = 40, ICMP_HEADER = 8, TTL = 64 };

#define TOKEN (1000000000ull / 100)
#define BURST (50 * TOKEN)

bool icmp_allow(struct icmp_bucket *bucket, uint64_t now)
{
	uint64_t passed = now - bucket->last;

	bucket->credit = passed > BURST - bucket->credit ? BURST : bucket->credit + passed;
	bucket->last = now;
	if (bucket->credit < TOKEN)
		return false;
	bucket->credit -= TOKEN;
	return true;
}

static bool unicast(const uint8_t *address, uint8_t family)
{
	static const uint8_t zeros[15];

	if (family == DENIM_V4)
		return address[0] != 0 && address[0] != 127 && address[0] < 224;
	return address[0] != 0xff && (memcmp(address, zeros, 15) != 0 || address[15] > 1);
}

/* An ICMP error or a redirect; what is cut short might be one. */
static bool is_error(const uint8_t *bytes, const struct packet *packet)
{
	uint8_t type = packet->length > packet->transport ? bytes[packet->transport] : 3;

	if (packet->protocol == IPPROTO_ICMPV6)
		return packet->length == packet->transport || type < 128 || type == 137;
	if (packet->protocol == IPPROTO_ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return false;
}

static bool permitted(const uint8_t *bytes, const struct packet *packet)
{
	return packet->fragment != PACKET_LATER_FRAGMENT && !is_error(bytes, packet) &&
	       unicast(packet_source(bytes, packet->family), packet->family) &&
	       unicast(packet_destination(bytes, packet->family), packet->family);
}

static void put_error(enum icmp_kind kind, uint8_t family, uint32_t mtu, uint8_t *at)
{
	static const uint8_t v4[][2] = { { 11, 0 }, { 3, 0 }, { 3, 4 } }, v6[][2] = { { 3, 0 }, { 1, 0 }, { 2, 0 } };

	memcpy(at, family == DENIM_V4 ? v4[kind] : v6[kind], 2);
	memset(at + 2, 0, 6);
	if (kind == ICMP_TOO_LONG)
		put_u32(at + 4, mtu);
}

static void put_v4(uint8_t *out, const uint8_t *source, const uint8_t *destination, uint32_t length)
{
	memset(out, 0, V4_HEADER);
	out[0] = 0x45;
	put_u16(out + 2, length);
	out[8] = TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, source, 4);
	memcpy(out + 16, destination, 4);
	packet_seal_ip(out);
}

static void put_v6(uint8_t *out, const uint8_t *source, const uint8_t *destination, uint32_t length)
{
	memset(out, 0, V6_HEADER);
	out[0] = 0x60;
	put_u16(out + 4, length - V6_HEADER);
	out[6] = IPPROTO_ICMPV6;
	out[7] = TTL;
	memcpy(out + 8, source, 16);
	memcpy(out + 24, destination, 16);
}

uint32_t icmp_build(enum icmp_kind kind, const uint8_t *bytes, const struct packet *packet, const uint8_t *source,
		    uint32_t mtu, uint8_t out[ICMP_ROOM])
{
	bool v4 = packet->family == DENIM_V4;
	uint32_t header = v4 ? V4_HEADER : V6_HEADER, room = (v4 ? V4_LIMIT : ICMP_ROOM) - header - ICMP_HEADER;
	uint32_t quoted = packet->length < room ? packet->length : room, length = header + ICMP_HEADER + quoted;
	uint8_t *icmp = out + header;
	uint64_t sum = 0;

	if (!permitted(bytes, packet))
		return 0;
	(v4 ? put_v4 : put_v6)(out, source, packet_source(bytes, packet->family), length);
	put_error(kind, packet->family, mtu, icmp);
	memcpy(icmp + ICMP_HEADER, bytes, quoted);
	if (!v4)
		sum = checksum_pseudo(out, DENIM_V6, IPPROTO_ICMPV6, length - header);
	store_u16(icmp + 2, (uint16_t)~checksum_fold(checksum_add(sum, icmp, length - header)));
	return length;
}
