/*
 * A raw socket: IP and UDP header are made here, so that every inner flow has a source port of its own (and over IPv6 a flow
 * label) without a socket for each. In return the kernel neither cuts a message into packets nor a packet into fragments.
 *
 * Over IPv4 a router may fragment what is too long for its next link: nobody would tell us of it. The addresses of this
 * host must be definite, the checksum covers them. Sources: RFC 791, 768, 8200, and raw(7): identification, total length
 * and IPv4 checksum are the kernel's.
 */
#include "udp.h"

#include "../bytes.h"

#include <errno.h>

enum { V4_HEADER = 20, V6_HEADER = 40, UDP_HEADER = 8, HOP_LIMIT = 64, DYNAMIC_PORTS = 49152 /* RFC 6335, to the end */ };

static bool definite(const uint8_t address[16])
{
	static const uint8_t any[16];

	return memcmp(address, any, sizeof(any)) != 0;
}

static int open_one(int *fd, int family, bool wanted, const uint8_t address[16])
{
	if (!wanted)
		return 0;
	if (!definite(address))
		return -EDESTADDRREQ;
	*fd = udp_open_out(family, SOCK_RAW, IPPROTO_RAW);
	return *fd < 0 ? *fd : 0;
}

static int open_raw(struct denim_udp *udp)
{
	const struct denim_udp_settings *settings = &udp->settings;
	int result = open_one(&udp->out[0][0], AF_INET, settings->bind_v4, settings->address_v4);

	return result < 0 ? result : open_one(&udp->out[1][0], AF_INET6, settings->bind_v6, settings->address_v6);
}

static int choose(const struct denim_udp *udp, const struct peer *peer, uint32_t flow)
{
	(void)flow;
	return udp->out[peer->record.underlay_family == DENIM_V6][0];
}

static void put_v4(uint8_t *out, const uint8_t *from, const uint8_t *to, uint32_t rest)
{
	memset(out, 0, V4_HEADER);
	out[0] = 0x45;
	put_u16(out + 2, V4_HEADER + rest);
	out[8] = HOP_LIMIT;
	out[9] = IPPROTO_UDP;
	memcpy(out + 12, from, 4);
	memcpy(out + 16, to, 4);
}

static void put_v6(uint8_t *out, const uint8_t *from, const uint8_t *to, uint32_t rest, uint32_t flow)
{
	put_u32(out, 0x60000000 | (flow & 0xfffff));
	put_u16(out + 4, rest);
	out[6] = IPPROTO_UDP;
	out[7] = HOP_LIMIT;
	memcpy(out + 8, from, 16);
	memcpy(out + 24, to, 16);
}

/* Of the parts one behind the other; an odd part turns the bytes of those behind it. */
static uint64_t sum_of(const struct iovec *parts, size_t count)
{
	uint64_t sum = 0;
	size_t before = 0;

	for (size_t i = 0; i < count; i++) {
		uint16_t part = checksum_fold(checksum_add(0, parts[i].iov_base, parts[i].iov_len));

		sum += before & 1 ? (uint16_t)(part << 8 | part >> 8) : part;
		before += parts[i].iov_len;
	}
	return sum;
}

static uint32_t head(const struct denim_udp *udp, const struct peer *peer, uint32_t flow, const struct iovec *parts,
		     size_t count, uint8_t out[UDP_OUTER_MAX])
{
	const struct denim_udp_settings *settings = &udp->settings;
	uint8_t family = peer->record.underlay_family;
	uint32_t header = family == DENIM_V4 ? V4_HEADER : V6_HEADER, length = UDP_HEADER;
	uint8_t *transport = out + header;
	uint16_t check;

	for (size_t i = 0; i < count; i++)
		length += (uint32_t)parts[i].iov_len;
	if (family == DENIM_V4)
		put_v4(out, settings->address_v4, peer->record.address, length);
	else
		put_v6(out, settings->address_v6, peer->record.address, length, flow);
	put_u16(transport, DYNAMIC_PORTS + flow % (65536 - DYNAMIC_PORTS));
	put_u16(transport + 2, peer->record.port);
	put_u16(transport + 4, length);
	put_u16(transport + 6, 0);
	check = (uint16_t)~checksum_fold(checksum_add(checksum_pseudo(out, family, IPPROTO_UDP, length), transport, UDP_HEADER) +
					 sum_of(parts, count));
	store_u16(transport + 6, check == 0 ? 0xffff : check);
	return header + UDP_HEADER;
}

const struct sender_kind udp_sender_raw = { .kind = DENIM_UDP_RAW, .open = open_raw, .choose = choose, .head = head };
