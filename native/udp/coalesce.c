/*
 * Received packets, put together to the super-packets that a TUN device takes; see packet.h.
 *
 * A super-packet tells the kernel that its checksum is still to be made, so whatever is damaged must never get into one: a
 * packet joins, or begins, a flow only after its checksums were verified. Whatever does not fit flushes its flow first and
 * is written alone and unchanged, so packets of one flow never overtake each other. Cut again (split.c) a super-packet
 * gives the very packets it was made of; only the identification of IPv4 packets that must not be fragmented may differ,
 * which means nothing there (RFC 6864).
 */
#include "packet.h"

#include "../bytes.h"

#include <endian.h>
#include <netinet/in.h>

enum { PSH = 8, ACK = 16, DONT_FRAGMENT = 0x4000, TCP_OPTIONS = 20 };

static void write_alone(struct coalescer *c, uint8_t *bytes, uint32_t length)
{
	struct virtio_net_hdr none = { 0 };
	struct iovec parts[] = { { &none, sizeof(none) }, { bytes, length } };

	c->write(c->context, parts, 2, 0);
}

/* The first packet's headers as those of the super-packet. */
static struct virtio_net_hdr make_super(const struct flow *flow, uint8_t *headers)
{
	const struct packet *packet = &flow->packet;
	bool tcp = packet->protocol == IPPROTO_TCP, v4 = packet->family == DENIM_V4;
	uint8_t *transport = headers + packet->transport;
	uint32_t length = flow->total - packet->transport;
	const uint8_t *last = flow->parts[1 + flow->segments].iov_base;

	memcpy(headers, flow->first, packet->payload);
	if (v4) {
		put_u16(headers + 2, flow->total);
		packet_seal_ip(headers);
	} else {
		put_u16(headers + 4, length);
	}
	if (tcp)
		transport[13] = (last - packet->payload + packet->transport)[13];
	else
		put_u16(transport + 4, length);
	store_u16(transport + (tcp ? 16 : 6),
		  checksum_fold(checksum_pseudo(headers, packet->family, packet->protocol, length)));
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !tcp ? VIRTIO_NET_HDR_GSO_UDP_L4 : v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = htole16(packet->payload),
		.gso_size = htole16((uint16_t)flow->size),
		.csum_start = htole16(packet->transport),
		.csum_offset = htole16(tcp ? 16 : 6),
	};
}

static void flush_flow(struct coalescer *c, struct flow *flow)
{
	uint8_t headers[SPLIT_HEADER_MAX];
	struct virtio_net_hdr virtio;

	if (flow->segments == 1) {
		write_alone(c, flow->first, flow->packet.length);
	} else {
		virtio = make_super(flow, headers);
		flow->parts[0] = (struct iovec){ &virtio, sizeof(virtio) };
		flow->parts[1] = (struct iovec){ headers, flow->packet.payload };
		c->write(c->context, flow->parts, 2 + flow->segments, (uint8_t)flow->packet.payload);
	}
	flow->first = NULL;
}

static struct flow *oldest(struct coalescer *c)
{
	struct flow *found = NULL;

	for (int i = 0; i < COALESCE_FLOWS; i++) {
		struct flow *flow = &c->flows[i];

		if (flow->first && (!found || flow->opened < found->opened))
			found = flow;
	}
	return found;
}

void coalesce_flush(struct coalescer *c)
{
	for (struct flow *flow; (flow = oldest(c));)
		flush_flow(c, flow);
}

static bool same_hosts(const struct flow *flow, const uint8_t *bytes, const struct packet *packet)
{
	uint8_t family = packet->family;

	return flow->first && flow->packet.family == family &&
	       memcmp(packet_source(flow->first, family), packet_source(bytes, family), family == DENIM_V4 ? 8 : 32) == 0;
}

static struct flow *find(struct coalescer *c, const uint8_t *bytes, const struct packet *packet)
{
	for (int i = 0; i < COALESCE_FLOWS; i++) {
		struct flow *flow = &c->flows[i];

		if (same_hosts(flow, bytes, packet) && flow->packet.protocol == packet->protocol &&
		    memcmp(flow->first + flow->packet.transport, bytes + packet->transport, 4) == 0)
			return flow;
	}
	return NULL;
}

/* Flows that a packet which joins none may belong to: all between its hosts. */
static void flush_hosts(struct coalescer *c, const uint8_t *bytes, const struct packet *packet)
{
	for (struct flow *flow; (flow = oldest(c));) {
		bool any = false;

		for (int i = 0; i < COALESCE_FLOWS; i++)
			any |= same_hosts(&c->flows[i], bytes, packet);
		if (!any)
			return;
		flush_flow(c, flow);
	}
}

/* Could begin or join a super-packet, as far as its own headers and checksums go. */
static bool joins(const struct coalescer *c, const uint8_t *bytes, const struct packet *packet, size_t length)
{
	const uint8_t *transport = bytes + packet->transport;
	bool tcp = packet->protocol == IPPROTO_TCP;

	if (packet->length != length || !packet->plain || packet->fragment != PACKET_WHOLE)
		return false;
	if (packet->payload == packet->transport || packet->payload >= packet->length)
		return false;
	if (tcp ? !c->tcp || (transport[13] & ~PSH) != ACK
		: !c->udp || get_u16(transport + 4) != packet->length - packet->transport)
		return false;
	/* The reserved bit of the fragment field, and those of the TCP header, would be lost or spread. */
	if ((packet->family == DENIM_V4 && get_u16(bytes + 6) & ~DONT_FRAGMENT) || (tcp && transport[12] & 15))
		return false;
	return packet_verify(bytes, packet);
}

static bool same_ip(const struct flow *flow, const uint8_t *bytes)
{
	const uint8_t *first = flow->first;

	if (flow->packet.family == DENIM_V6)
		return memcmp(first, bytes, 4) == 0 && first[7] == bytes[7];
	if (first[1] != bytes[1] || first[8] != bytes[8] || memcmp(first + 6, bytes + 6, 2) != 0)
		return false;
	return get_u16(bytes + 6) == DONT_FRAGMENT || get_u16(bytes + 4) == flow->identification;
}

static bool same_tcp(const struct flow *flow, const uint8_t *transport)
{
	const uint8_t *first = flow->first + flow->packet.transport;
	size_t options = flow->packet.payload - flow->packet.transport - TCP_OPTIONS;

	return get_u32(transport + 4) == flow->sequence && memcmp(first + 8, transport + 8, 4) == 0 &&
	       memcmp(first + 14, transport + 14, 2) == 0 && memcmp(first + 18, transport + 18, 2) == 0 &&
	       memcmp(first + TCP_OPTIONS, transport + TCP_OPTIONS, options) == 0;
}

static bool fits(const struct flow *flow, const uint8_t *bytes, const struct packet *packet)
{
	uint32_t payload = packet->length - packet->payload;

	return packet->payload == flow->packet.payload && payload <= flow->size &&
	       flow->total + payload <= PACKET_LENGTH_MAX && flow->segments < COALESCE_SEGMENTS && same_ip(flow, bytes) &&
	       (packet->protocol == IPPROTO_UDP || same_tcp(flow, bytes + packet->transport));
}

/* Adds a packet that fits; the last one of its flow ends it. */
static void append(struct coalescer *c, struct flow *flow, uint8_t *bytes, const struct packet *packet)
{
	uint32_t payload = packet->length - packet->payload;
	bool push = packet->protocol == IPPROTO_TCP && bytes[packet->transport + 13] & PSH;

	flow->parts[2 + flow->segments++] = (struct iovec){ bytes + packet->payload, payload };
	flow->total += payload;
	flow->sequence += payload;
	flow->identification++;
	if (push || payload < flow->size)
		flush_flow(c, flow);
}

static struct flow *free_place(struct coalescer *c)
{
	struct flow *flow;

	for (int i = 0; i < COALESCE_FLOWS; i++) {
		if (!c->flows[i].first)
			return &c->flows[i];
	}
	flow = oldest(c);
	flush_flow(c, flow);
	return flow;
}

static void open_flow(struct coalescer *c, uint8_t *bytes, const struct packet *packet)
{
	struct flow *flow = free_place(c);

	flow->first = bytes;
	flow->packet = *packet;
	flow->opened = c->opened++;
	flow->size = packet->length - packet->payload;
	flow->total = packet->payload;
	flow->segments = 0;
	flow->sequence = get_u32(bytes + packet->transport + 4);
	flow->identification = get_u16(bytes + 4);
	append(c, flow, bytes, packet);
}

void coalesce_add(struct coalescer *c, uint8_t *bytes, const struct packet *packet, size_t length)
{
	struct flow *flow;

	if (!joins(c, bytes, packet, length)) {
		flush_hosts(c, bytes, packet);
		write_alone(c, bytes, packet->length);
		return;
	}
	flow = find(c, bytes, packet);
	if (flow && !fits(flow, bytes, packet)) {
		flush_flow(c, flow);
		flow = NULL;
	}
	if (flow)
		append(c, flow, bytes, packet);
	else
		open_flow(c, bytes, packet);
}
