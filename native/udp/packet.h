/*
 * Inner packets, for the files of this library only: parse, check, count down, cut into segments, put together again.
 *
 * Pure: no I/O, no allocation, no state but the caller's. Every length that a header claims is checked against the bytes
 * that are there before anything behind it is read. Offsets are from the packet's first byte; checksums are kept as they
 * stand in memory (network order), sums as plain numbers. Sources: RFC 791, 8200, 9293, 768, 1071, 1624, 6864, and the
 * kernel's virtio_net.h.
 */
#ifndef DENIM_PACKET_H
#define DENIM_PACKET_H

#include "../denim.h"

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* Headers of kernels from 6.2 on have these. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	PACKET_LENGTH_MAX = 65535,
	PACKET_ROOM = 65536 + 128, /* any packet a TUN device hands out: IPv6 counts its payload only */
	SPLIT_HEADER_MAX = 192, /* the longest headers of a super-packet that is split */
	COALESCE_FLOWS = 16,
	COALESCE_SEGMENTS = 64,
};

enum packet_fragment { PACKET_WHOLE, PACKET_FIRST_FRAGMENT, PACKET_LATER_FRAGMENT };

struct packet {
	uint8_t family; /* enum denim_family */
	uint8_t protocol; /* of the header at `transport`: extension headers are passed over */
	uint8_t fragment; /* enum packet_fragment */
	bool plain; /* neither IPv4 options nor IPv6 extension headers */
	uint16_t transport; /* offset of the transport header */
	uint16_t payload; /* offset behind a whole TCP or UDP header; `transport` where there is none */
	uint32_t length; /* as the IP header says; at most what is there */
};

/* False where this is no packet that could be forwarded: version, lengths, a header cut short. */
bool packet_parse(const uint8_t *bytes, size_t length, struct packet *out);

/* 4 or 16 bytes. */
const uint8_t *packet_source(const uint8_t *bytes, uint8_t family);
const uint8_t *packet_destination(const uint8_t *bytes, uint8_t family);

/* TTL or hop limit one lower, the IPv4 checksum with it (RFC 1624). False, and nothing changed, where that would be 0. */
bool packet_count_down(uint8_t *bytes, uint8_t family);

/* One's complement sum of 16-bit words in memory order, not folded; an odd last byte is padded with 0. */
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length);
/* Folded to 16 bits, not inverted. */
uint16_t checksum_fold(uint64_t sum);
/* Of addresses, protocol and upper-layer length. */
uint64_t checksum_pseudo(const uint8_t *bytes, uint8_t family, uint8_t protocol, uint32_t length);
/* The IPv4 header's (true for IPv6, which has none) and the TCP or UDP checksum hold. A UDP checksum of 0 does not. */
bool packet_verify(const uint8_t *bytes, const struct packet *packet);
/* The same number for all packets of a flow: by addresses, protocol, ports or IPv6 flow label; of fragments by addresses only. */
uint32_t packet_flow(const uint8_t *bytes, const struct packet *packet);
/* Writes the IPv4 header's checksum anew. */
void packet_seal_ip(uint8_t *bytes);

/* split.c: what a TUN device hands out, as the packets that go over the wire. */
struct split {
	const uint8_t *bytes;
	struct packet packet;
	uint32_t size; /* payload bytes a segment; 0: not a super-packet */
	uint32_t offset; /* of the next segment's payload */
	uint32_t index;
	uint64_t pseudo; /* sum of the pseudo-header without its length */
};

/* One segment: `header_length` bytes in the caller's slot, followed by the payload where it lies. */
struct segment {
	uint32_t header_length;
	uint32_t payload_length;
	const uint8_t *payload;
};

/*
 * Parses, and completes the checksum in place where the packet is no super-packet. False where the offload header does not
 * fit the packet. The first segment is always there, and none is longer.
 */
bool split_begin(struct split *split, const struct virtio_net_hdr *header, uint8_t *bytes, size_t length);
/* Length of the first segment, headers included. */
uint32_t split_first_length(const struct split *split);
/* False after the last. A packet that is not split comes with no header and itself as payload. */
bool split_next(struct split *split, uint8_t header[SPLIT_HEADER_MAX], struct segment *out);

/* coalesce.c: received packets, as the super-packets that a TUN device takes. */
typedef void coalesce_write(void *context, struct iovec *parts, int count, uint8_t header_length);

struct flow {
	uint8_t *first; /* NULL: a free place */
	struct packet packet;
	uint64_t opened; /* order of opening */
	uint32_t size; /* payload of every packet but the last */
	uint32_t total; /* length of the whole super-packet */
	uint32_t sequence; /* TCP: the next one */
	uint16_t identification; /* IPv4: the next one */
	uint16_t segments;
	struct iovec parts[2 + COALESCE_SEGMENTS]; /* virtio header, first packet's headers, payloads */
};

struct coalescer {
	coalesce_write *write;
	void *context;
	bool tcp, udp; /* what the TUN device takes as super-packets */
	uint64_t opened;
	struct flow flows[COALESCE_FLOWS];
};

/*
 * Takes one packet, which must stay where it is until the flush. `length` is the datagram's; the packet was parsed from it.
 * `write` is called with {virtio header, packet}, or {virtio header, headers, payload of the first, of the second …} and
 * the length of the headers, which stand unchanged in front of every payload.
 */
void coalesce_add(struct coalescer *c, uint8_t *bytes, const struct packet *packet, size_t length);
/* Writes what is gathered, in the order in which the flows began. */
void coalesce_flush(struct coalescer *c);

#endif
