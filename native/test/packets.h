/* Inner packets for the tests of the datapath, and a checksum that is computed another way than the library's. */
#ifndef DENIM_TEST_PACKETS_H
#define DENIM_TEST_PACKETS_H

#include "../bytes.h"
#include "../udp/packet.h"
#include "check.h"

#include <netinet/in.h>

enum { ACK_FLAG = 16, PSH_FLAG = 8, FIN_FLAG = 1, CWR_FLAG = 128, ECE_FLAG = 64 };

/* What one packet, or super-packet, is made of. */
struct shape {
	uint8_t family, protocol, ttl, flags, options; /* options: bytes of TCP options, a multiple of 4 */
	uint8_t extras; /* bytes before the transport: IPv4 options or IPv6 extension headers, a multiple of 8 */
	bool routed; /* IPv6: the first of them is a routing header that is not at its end, to fd01::99 */
	bool fragmentable;
	uint16_t identification, port;
	uint32_t sequence, payload, fill;
};

/* 10.1.0.2 → 10.1.1.2, or fd01::2 → fd01::1:2 */
static inline void put_hosts(uint8_t *bytes, uint8_t family)
{
	static const uint8_t v4[] = { 10, 1, 0, 2, 10, 1, 1, 2 };
	static const uint8_t v6[32] = { [0] = 0xfd, 1, [15] = 2, [16] = 0xfd, 1, [29] = 1, [31] = 2 };

	memcpy(bytes + (family == DENIM_V4 ? 12 : 8), family == DENIM_V4 ? v4 : v6, family == DENIM_V4 ? 8 : 32);
}

/* Where the packet shall arrive, whatever its header says meanwhile. */
static const uint8_t routed_to[16] = { 0xfd, 1, [15] = 0x99 };

/* Options that do nothing, or one header: destination options, or a routing header of type 2 (24 bytes). */
static inline void put_extras(uint8_t *at, const struct shape *shape)
{
	uint8_t size = shape->extras;

	memset(at, 1, size);
	if (shape->family == DENIM_V4 || size == 0)
		return;
	memset(at, 0, size);
	at[0] = shape->protocol;
	at[1] = (uint8_t)(size / 8 - 1);
	if (shape->routed) {
		at[2] = 2;
		at[3] = 1;
		memcpy(at + 8, routed_to, 16);
	} else {
		at[2] = 1;
		at[3] = (uint8_t)(size - 4);
	}
}

/* One octet after the other, carry by carry. */
static inline uint16_t slow_sum(uint32_t sum, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static inline uint16_t slow_pseudo(const uint8_t *bytes, uint8_t family, uint8_t protocol, uint32_t length)
{
	uint8_t tail[8] = { 0 };

	put_u32(tail, length);
	tail[7] = protocol;
	if (family == DENIM_V6 && bytes[6] == IPPROTO_ROUTING)
		return slow_sum(slow_sum(slow_sum(0, tail, 8), bytes + 8, 16), routed_to, 16);
	return slow_sum(slow_sum(0, tail, 8), bytes + (family == DENIM_V4 ? 12 : 8), family == DENIM_V4 ? 8 : 32);
}

static inline uint32_t put_ip(uint8_t *bytes, const struct shape *shape, uint32_t rest)
{
	uint32_t header = (shape->family == DENIM_V4 ? 20u : 40u) + shape->extras;

	memset(bytes, 0, header);
	put_hosts(bytes, shape->family);
	put_extras(bytes + header - shape->extras, shape);
	if (shape->family == DENIM_V6) {
		bytes[0] = 0x60;
		put_u16(bytes + 4, rest + shape->extras);
		bytes[6] = shape->extras == 0 ? shape->protocol : shape->routed ? IPPROTO_ROUTING : IPPROTO_DSTOPTS;
		bytes[7] = shape->ttl;
		return header;
	}
	bytes[0] = (uint8_t)(0x40 | header / 4);
	put_u16(bytes + 2, header + rest);
	put_u16(bytes + 4, shape->identification);
	bytes[6] = shape->fragmentable ? 0 : 0x40;
	bytes[8] = shape->ttl;
	bytes[9] = shape->protocol;
	put_u16(bytes + 10, 0xffff & ~slow_sum(0, bytes, header));
	return header;
}

static inline uint32_t put_transport(uint8_t *at, const struct shape *shape)
{
	uint32_t header = shape->protocol == IPPROTO_UDP ? 8 : 20u + shape->options;

	memset(at, 1, header);
	put_u16(at, shape->port);
	put_u16(at + 2, 5201);
	if (shape->protocol == IPPROTO_UDP) {
		put_u16(at + 4, 8 + shape->payload);
		put_u16(at + 6, 0);
		return header;
	}
	put_u32(at + 4, shape->sequence);
	put_u32(at + 8, 777);
	at[12] = (uint8_t)(header / 4 << 4);
	at[13] = shape->flags;
	put_u16(at + 16, 0);
	return header;
}

/* A whole packet with right checksums; returns its length. */
static inline uint32_t put_packet(uint8_t *bytes, const struct shape *shape)
{
	uint32_t transport = shape->protocol == IPPROTO_UDP ? 8 : 20u + shape->options;
	uint32_t ip = put_ip(bytes, shape, transport + shape->payload), length = ip + transport + shape->payload;
	uint8_t *check = bytes + ip + (shape->protocol == IPPROTO_UDP ? 6 : 16);
	uint16_t sum;

	put_transport(bytes + ip, shape);
	for (uint32_t i = 0; i < shape->payload; i++)
		bytes[ip + transport + i] = (uint8_t)((shape->fill + i) * 2654435761u >> 13);
	sum = slow_sum(slow_pseudo(bytes, shape->family, shape->protocol, length - ip), bytes + ip, length - ip);
	put_u16(check, sum == 0xffff && shape->protocol == IPPROTO_UDP ? 0xffff : 0xffff & ~sum);
	return length;
}

/* Where the transport of such a packet begins, and its kind. */
static inline uint32_t find_transport(const uint8_t *bytes, uint8_t *protocol)
{
	uint32_t at = bytes[0] >> 4 == 4 ? (bytes[0] & 15u) * 4 : 40;

	*protocol = bytes[bytes[0] >> 4 == 4 ? 9 : 6];
	if (*protocol == IPPROTO_ROUTING || *protocol == IPPROTO_DSTOPTS) {
		*protocol = bytes[40];
		at += (bytes[41] + 1u) * 8;
	}
	return at;
}

/* The IPv4 header's and the transport's checksum hold. */
static inline bool right(const uint8_t *bytes, uint32_t length)
{
	uint8_t family = bytes[0] >> 4, protocol;
	uint32_t ip = find_transport(bytes, &protocol);
	uint32_t claimed = family == 4 ? get_u16(bytes + 2) : 40u + get_u16(bytes + 4);

	if (claimed != length || (family == 4 && slow_sum(0, bytes, ip) != 0xffff))
		return false;
	if (protocol == IPPROTO_UDP && (load_u16(bytes + ip + 6) == 0 || get_u16(bytes + ip + 4) != length - ip))
		return false;
	return slow_sum(slow_pseudo(bytes, family, protocol, length - ip), bytes + ip, length - ip) == 0xffff;
}

/* A copy in a heap block of exactly its size, so that the sanitizer sees a byte beyond. */
static inline uint8_t *exact(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	CHECK(copy != NULL);
	memcpy(copy, bytes, length);
	return copy;
}

/* Numbers that are the same in every run. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

#endif
