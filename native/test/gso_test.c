/*
 * Super-packets: cut, put together, cut again. What comes out must be, byte for byte, what went in; every checksum is
 * computed anew another way; what was damaged on the way stays damaged.
 */
#include "packets.h"

#include <endian.h>

enum { TRAIN_MAX = 4096, WIRE_ROOM = 8 * 1024 * 1024 };

/* Packets one behind the other, each in the form it has on the wire. */
struct train {
	uint8_t *bytes;
	size_t used;
	uint32_t count, supers, longest; /* supers: of those that came from a write, those with several packets */
	struct {
		size_t at;
		uint32_t length;
	} packets[TRAIN_MAX];
};

static struct train sent, got;

static void train_init(struct train *train)
{
	if (!train->bytes)
		train->bytes = malloc(WIRE_ROOM);
	CHECK(train->bytes != NULL);
	train->used = train->count = train->supers = train->longest = 0;
}

static uint8_t *train_room(struct train *train, uint32_t length)
{
	uint8_t *at = train->bytes + train->used;

	CHECK(train->count < TRAIN_MAX && train->used + length <= WIRE_ROOM);
	train->packets[train->count].at = train->used;
	train->packets[train->count++].length = length;
	train->used += length;
	return at;
}

static struct virtio_net_hdr super_header(const struct shape *shape, uint16_t size)
{
	bool tcp = shape->protocol == IPPROTO_TCP, v4 = shape->family == DENIM_V4;

	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = tcp ? v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_UDP_L4,
		.gso_size = htole16(size),
		.csum_start = htole16((uint16_t)((v4 ? 20 : 40) + shape->extras)),
		.csum_offset = htole16(tcp ? 16 : 6),
	};
}

/* Cuts a (super-)packet and appends the pieces. */
static uint32_t cut_into(struct train *train, const struct virtio_net_hdr *header, const uint8_t *bytes, uint32_t length)
{
	uint8_t *copy = exact(bytes, length), slot[SPLIT_HEADER_MAX], *at;
	struct segment segment;
	struct split split;
	uint32_t count = 0, first;

	CHECK(split_begin(&split, header, copy, length));
	first = split_first_length(&split);
	for (; split_next(&split, slot, &segment); count++) {
		at = train_room(train, segment.header_length + segment.payload_length);
		memcpy(at, slot, segment.header_length);
		memcpy(at + segment.header_length, segment.payload, segment.payload_length);
		CHECK(count > 0 || segment.header_length + segment.payload_length == first);
	}
	free(copy);
	return count;
}

static uint8_t scratch[PACKET_ROOM];

/* As a device hands it out: in the place of the checksum the pseudo-header's sum. */
static void leave_sum_open(uint8_t *bytes, uint32_t length)
{
	uint8_t protocol;
	uint32_t at = find_transport(bytes, &protocol);

	put_u16(bytes + at + (protocol == IPPROTO_UDP ? 6 : 16), slow_pseudo(bytes, bytes[0] >> 4, protocol, length - at));
}

static void cut_shape(struct train *train, const struct shape *shape, uint16_t size)
{
	struct virtio_net_hdr header = super_header(shape, size);
	uint32_t length = put_packet(scratch, shape);

	leave_sum_open(scratch, length);
	cut_into(train, &header, scratch, length);
}

/* The same as the packets that a sender without super-packets makes of it, each built for itself. */
static void build_apart(struct train *train, const struct shape *shape, uint16_t size)
{
	struct shape part = *shape;
	uint32_t length;

	for (uint32_t done = 0; done < shape->payload; done += part.payload) {
		part.payload = shape->payload - done < size ? shape->payload - done : size;
		part.fill = shape->fill + done;
		part.flags = shape->flags & (uint8_t)~(done > 0 ? CWR_FLAG : 0);
		if (done + part.payload < shape->payload)
			part.flags &= (uint8_t)~(PSH_FLAG | FIN_FLAG);
		length = put_packet(scratch, &part);
		memcpy(train_room(train, length), scratch, length);
		part.sequence += part.payload;
		part.identification++;
	}
}

/* coalesce_write: what the TUN device got, cut again; unchanged headers must stand before every payload. */
static void take(void *context, struct iovec *parts, int count, uint8_t header_length)
{
	struct virtio_net_hdr header;
	uint8_t *whole = malloc(PACKET_ROOM);
	uint32_t length = 0;

	(void)context;
	CHECK(whole != NULL && parts[0].iov_len == sizeof(header));
	memcpy(&header, parts[0].iov_base, sizeof(header));
	for (int i = 1; i < count; i++) {
		CHECK(length + parts[i].iov_len <= PACKET_LENGTH_MAX);
		memcpy(whole + length, parts[i].iov_base, parts[i].iov_len);
		length += (uint32_t)parts[i].iov_len;
	}
	for (int i = 2; i < count; i++) {
		const uint8_t *original = (uint8_t *)parts[i].iov_base - header_length;

		CHECK(right(original, (uint32_t)parts[i].iov_len + header_length));
	}
	CHECK((count > 3) == (header.gso_type != VIRTIO_NET_HDR_GSO_NONE));
	got.supers += count > 3;
	got.longest = (uint32_t)count > got.longest ? (uint32_t)count : got.longest;
	CHECK(cut_into(&got, &header, whole, length) == (count > 2 ? (uint32_t)count - 2 : 1));
	free(whole);
}

/* Everything that was sent, received in batches of `batch` packets. */
static void receive(uint32_t batch)
{
	static struct coalescer c;
	struct packet packet;

	c = (struct coalescer){ .write = take, .tcp = true, .udp = true };
	train_init(&got);
	for (uint32_t i = 0; i < sent.count; i++) {
		uint8_t *bytes = sent.bytes + sent.packets[i].at;

		CHECK(packet_parse(bytes, sent.packets[i].length, &packet));
		coalesce_add(&c, bytes, &packet, sent.packets[i].length);
		if (i % batch == batch - 1)
			coalesce_flush(&c);
	}
	coalesce_flush(&c);
	CHECK(got.count == sent.count);
}

static bool same_packet(uint32_t a, uint32_t b)
{
	return sent.packets[a].length == got.packets[b].length &&
	       memcmp(sent.bytes + sent.packets[a].at, got.bytes + got.packets[b].at, sent.packets[a].length) == 0;
}

static uint16_t port_of(const struct train *train, uint32_t i)
{
	const uint8_t *bytes = train->bytes + train->packets[i].at;
	uint8_t protocol;
	uint32_t at = find_transport(bytes, &protocol);

	return get_u16(bytes + at);
}

/* Per port (a flow has its own), the same packets in the same order. */
static void same_flows(void)
{
	static uint32_t place[65536];

	memset(place, 0, sizeof(place));
	for (uint32_t i = 0; i < sent.count; i++) {
		uint16_t port = port_of(&sent, i);
		uint32_t *next = &place[port];

		while (*next < got.count && port_of(&got, *next) != port)
			++*next;
		CHECK(*next < got.count && same_packet(i, *next));
		++*next;
	}
}

static const struct shape plain4 = { .family = DENIM_V4, .protocol = IPPROTO_TCP, .ttl = 60, .flags = ACK_FLAG,
				     .options = 12, .port = 4000, .payload = 14000, .sequence = 0xfffff000,
				     .identification = 0xfffa };

static void cuts_tcp(void)
{
	struct shape shape = plain4;

	train_init(&sent);
	shape.flags = ACK_FLAG | PSH_FLAG | FIN_FLAG | CWR_FLAG | ECE_FLAG;
	cut_shape(&sent, &shape, 1400);
	CHECK(sent.count == 10);
	for (uint32_t i = 0; i < 10; i++) {
		const uint8_t *bytes = sent.bytes + sent.packets[i].at;
		uint8_t flags = ACK_FLAG | ECE_FLAG | (i == 0 ? CWR_FLAG : 0) | (i == 9 ? PSH_FLAG | FIN_FLAG : 0);

		CHECK(right(bytes, sent.packets[i].length) && bytes[33] == flags);
		CHECK(get_u16(bytes + 4) == ((0xfffa + i) & 0xffff) && get_u32(bytes + 24) == 0xfffff000 + 1400 * i);
	}
}

static void cuts_every_kind_and_size(void)
{
	struct shape shape = plain4;

	for (uint32_t kind = 0; kind < 4; kind++) {
		shape.family = kind & 1 ? DENIM_V6 : DENIM_V4;
		shape.protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		for (uint16_t size = 1; size < 1500; size += 99) {
			shape.payload = 1501 + size;
			train_init(&sent);
			cut_shape(&sent, &shape, size);
			CHECK(sent.count == (shape.payload + size - 1u) / size);
			for (uint32_t i = 0; i < sent.count; i++)
				CHECK(right(sent.bytes + sent.packets[i].at, sent.packets[i].length));
		}
	}
}

/* What is cut is, byte for byte, what is built packet by packet: with options and extension headers too. */
static void cuts_into_what_is_built_apart(void)
{
	static const uint8_t extras[] = { 0, 8, 24, 40 };
	struct shape shape = plain4;

	for (uint32_t kind = 0; kind < 32; kind++) {
		shape.family = kind & 1 ? DENIM_V6 : DENIM_V4;
		shape.protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		shape.extras = extras[kind >> 2 & 3];
		shape.routed = shape.family == DENIM_V6 && kind & 16;
		shape.flags = ACK_FLAG | PSH_FLAG | FIN_FLAG | CWR_FLAG;
		if (shape.routed && shape.extras != 24)
			continue;
		train_init(&sent);
		train_init(&got);
		cut_shape(&sent, &shape, 999);
		build_apart(&got, &shape, 999);
		CHECK(sent.count == got.count && sent.count == 15);
		for (uint32_t i = 0; i < sent.count; i++)
			CHECK(right(sent.bytes + sent.packets[i].at, sent.packets[i].length) && same_packet(i, i));
	}
}

static void completes_checksums(void)
{
	struct shape shape = { .family = DENIM_V4, .protocol = IPPROTO_UDP, .ttl = 9, .port = 1, .payload = 2 };
	struct virtio_net_hdr header = super_header(&shape, 0);
	bool seen = false;

	header.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	for (uint32_t value = 0; value < 65536; value++) {
		uint32_t length = put_packet(scratch, &shape);
		uint16_t sum = slow_pseudo(scratch, DENIM_V4, IPPROTO_UDP, length - 20);

		put_u16(scratch + 28, value);
		put_u16(scratch + 26, sum);
		train_init(&sent);
		cut_into(&sent, &header, scratch, length);
		CHECK(sent.count == 1 && right(sent.bytes, length));
		seen |= load_u16(sent.bytes + 26) == 0xffff;
	}
	CHECK(seen);
}

static bool begins(const struct virtio_net_hdr *header, uint32_t length, uint8_t shorter)
{
	struct split split;
	uint8_t *copy = exact(scratch, length - shorter);
	bool result = split_begin(&split, header, copy, length - shorter);

	free(copy);
	return result;
}

static void refuses_headers_that_do_not_fit(void)
{
	struct virtio_net_hdr good = super_header(&plain4, 1000), bad;
	uint32_t length = put_packet(scratch, &plain4);

	CHECK(begins(&good, length, 0) && !begins(&good, length, 1));
	bad = good, bad.gso_size = 0;
	CHECK(!begins(&bad, length, 0));
	bad = good, bad.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	CHECK(!begins(&bad, length, 0));
	bad = good, bad.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	CHECK(!begins(&bad, length, 0));
	bad = good, bad.gso_type = 77;
	CHECK(!begins(&bad, length, 0));
	bad = good, bad.gso_type = 0, bad.csum_start = htole16(65535), bad.csum_offset = htole16(65535);
	CHECK(!begins(&bad, length, 0));
	bad.csum_start = htole16(20), bad.csum_offset = htole16((uint16_t)(length - 21));
	CHECK(!begins(&bad, length, 0));
	bad.csum_start = htole16(0), bad.csum_offset = htole16(10);
	CHECK(!begins(&bad, length, 0));
	scratch[6] = 0x20;
	CHECK(!begins(&good, length, 0));
}

/* The sum of a packet that takes a detour is known to the device alone. */
static void refuses_a_detour_without_its_sum(void)
{
	struct shape shape = { .family = DENIM_V6, .protocol = IPPROTO_TCP, .ttl = 9, .flags = ACK_FLAG, .extras = 24,
			       .routed = true, .payload = 5000 };
	struct virtio_net_hdr good = super_header(&shape, 1000), bad;
	uint32_t length = put_packet(scratch, &shape);

	CHECK(begins(&good, length, 0));
	bad = good, bad.flags = 0;
	CHECK(!begins(&bad, length, 0));
	bad = good, bad.csum_start = htole16(40);
	CHECK(!begins(&bad, length, 0));
	bad = good, bad.csum_offset = htole16(6);
	CHECK(!begins(&bad, length, 0));
}

static void puts_a_stream_together(void)
{
	struct shape shape = plain4;

	for (uint32_t kind = 0; kind < 4; kind++) {
		shape.family = kind & 1 ? DENIM_V6 : DENIM_V4;
		shape.protocol = kind & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		train_init(&sent);
		cut_shape(&sent, &shape, 1000);
		receive(TRAIN_MAX);
		CHECK(got.supers == 1 && got.longest == 16);
		same_flows();
		receive(4);
		CHECK(got.supers == 4 && got.longest == 6);
		same_flows();
	}
}

/* One change to packet 5 of 10 must keep it out of a super-packet with its neighbours. */
static void keeps_out_what_differs(void)
{
	static const struct {
		uint8_t at, flip;
	} changes[] = { { 1, 1 }, { 1, 8 }, { 8, 3 }, { 6, 0x40 }, { 6, 0x80 }, { 5, 64 }, { 27, 1 }, { 28, 1 }, { 32, 1 },
			{ 33, CWR_FLAG }, { 33, ECE_FLAG }, { 33, ACK_FLAG }, { 33, FIN_FLAG }, { 33, 4 }, { 33, 2 }, { 33, 32 },
			{ 34, 1 }, { 39, 1 }, { 43, 1 }, { 51, 1 } };

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint8_t *bytes;
		uint16_t sum;
		uint32_t length;

		train_init(&sent);
		cut_shape(&sent, &(struct shape){ .family = DENIM_V4, .protocol = IPPROTO_TCP, .ttl = 60, .flags = ACK_FLAG,
						  .fragmentable = true, .options = 12, .port = 4000, .payload = 10000 }, 1000);
		bytes = sent.bytes + sent.packets[5].at;
		length = sent.packets[5].length;
		bytes[changes[i].at] ^= changes[i].flip;
		packet_seal_ip(bytes);
		store_u16(bytes + 36, 0);
		sum = slow_sum(slow_pseudo(bytes, DENIM_V4, IPPROTO_TCP, length - 20), bytes + 20, length - 20);
		put_u16(bytes + 36, 0xffff & ~sum);
		receive(TRAIN_MAX);
		CHECK(got.supers == 2 && got.longest == 7);
		same_flows();
	}
}

static void never_makes_damage_valid(void)
{
	for (uint32_t bit = 0; bit < 8 * 152; bit++) {
		struct shape shape = plain4;
		uint8_t *bytes;

		/* What changes the parsed form is a different packet, not a damaged one. */
		if (bit / 8 == 0 || bit / 8 == 2 || bit / 8 == 3)
			continue;
		shape.payload = 300;
		train_init(&sent);
		cut_shape(&sent, &shape, 100);
		bytes = sent.bytes + sent.packets[1].at;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		receive(TRAIN_MAX);
		/* One whose address changed seems to be of another flow: it may be overtaken. */
		for (uint32_t i = 0; i < 3; i++)
			CHECK(same_packet(i, 0) || same_packet(i, 1) || same_packet(i, 2));
		CHECK(got.supers == 0);
	}
}

static struct shape random_shape(uint64_t *state, uint32_t *sequences)
{
	uint32_t flow = next_random(state) % 24;
	struct shape shape = {
		.family = flow & 1 ? DENIM_V6 : DENIM_V4,
		.protocol = flow & 2 ? IPPROTO_UDP : IPPROTO_TCP,
		.ttl = 60,
		.options = flow & 4 ? 12 : 0,
		.fragmentable = flow & 8,
		.port = (uint16_t)(1000 + flow),
		.payload = 1 + next_random(state) % 9000,
		.fill = next_random(state),
		.flags = ACK_FLAG | (next_random(state) % 4 == 0 ? PSH_FLAG : 0) | (next_random(state) % 16 == 0 ? FIN_FLAG : 0),
		.extras = next_random(state) % 6 == 0 ? 24 : 0,
	};

	shape.routed = shape.family == DENIM_V6 && shape.extras && next_random(state) % 2;

	shape.sequence = sequences[flow];
	shape.identification = (uint16_t)(sequences[flow] >> 8);
	sequences[flow] += next_random(state) % 32 == 0 ? 1 : shape.payload;
	return shape;
}

/* Now and then the last packet is damaged, a fragment, or longer than it says. */
static void spoil(struct train *train, uint64_t *state)
{
	uint8_t *bytes = train->bytes + train->packets[train->count - 1].at;
	uint32_t which = next_random(state) % 24;

	if (which < 3)
		bytes[60] ^= 4;
	if (which == 3 && bytes[0] >> 4 == 4 && (bytes[0] & 15) == 5) {
		bytes[6] = 0x20;
		packet_seal_ip(bytes);
	}
	if (which == 4 && bytes[0] >> 4 == 4) {
		train_room(train, 4);
		train->count--;
		memset(bytes + train->packets[train->count - 1].length, 0x5a, 4);
		train->packets[train->count - 1].length += 4;
	}
}

static void random_trains_come_out_as_they_went_in(void)
{
	uint32_t sequences[24] = { 0 }, supers = 0;
	uint64_t state = 42;

	for (int round = 0; round < 300; round++) {
		train_init(&sent);
		for (int i = 0; i < 30; i++) {
			struct shape shape = random_shape(&state, sequences);

			build_apart(&sent, &shape, (uint16_t)(90 + next_random(&state) % 1400));
			spoil(&sent, &state);
		}
		receive(1 + next_random(&state) % 200);
		supers += got.supers;
		for (uint32_t i = 0; i < sent.count; i++) {
			uint8_t *bytes = sent.bytes + sent.packets[i].at;

			/* What a datagram has beyond its packet is not the packet's. */
			if (bytes[0] >> 4 == 4)
				sent.packets[i].length = get_u16(bytes + 2);
			/* Without its meaning, the identification is not kept. */
			if (bytes[0] >> 4 == 4 && bytes[6] == 0x40)
				put_u16(bytes + 4, 0), put_u16(bytes + 10, 0);
		}
		for (uint32_t i = 0; i < got.count; i++) {
			uint8_t *bytes = got.bytes + got.packets[i].at;

			if (bytes[0] >> 4 == 4) {
				CHECK(slow_sum(0, bytes, (bytes[0] & 15u) * 4) == 0xffff);
				if (bytes[6] == 0x40)
					put_u16(bytes + 4, 0), put_u16(bytes + 10, 0);
			}
		}
		same_flows();
	}
	CHECK(supers > 1000);
}

int main(void)
{
	RUN(cuts_tcp);
	RUN(cuts_every_kind_and_size);
	RUN(cuts_into_what_is_built_apart);
	RUN(completes_checksums);
	RUN(refuses_headers_that_do_not_fit);
	RUN(refuses_a_detour_without_its_sum);
	RUN(puts_a_stream_together);
	RUN(keeps_out_what_differs);
	RUN(never_makes_damage_valid);
	RUN(random_trains_come_out_as_they_went_in);
	free(sent.bytes);
	free(got.bytes);
	return 0;
}
