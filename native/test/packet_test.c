/* Parsing, counting down, checksums: on right packets, on every truncation and bit error of them, and on odd ones. */
#include "packets.h"

static const struct shape tcp4 = { .family = DENIM_V4, .protocol = IPPROTO_TCP, .ttl = 64, .flags = ACK_FLAG,
				   .options = 12, .port = 4000, .payload = 100 };
static const struct shape udp6 = { .family = DENIM_V6, .protocol = IPPROTO_UDP, .ttl = 64, .port = 4000, .payload = 33 };

static void reads_both_families(void)
{
	uint8_t bytes[512];
	struct packet packet;
	uint32_t length = put_packet(bytes, &tcp4);

	CHECK(packet_parse(bytes, length, &packet) && packet.length == 152 && packet.plain);
	CHECK(packet.transport == 20 && packet.payload == 52 && packet.fragment == PACKET_WHOLE);
	CHECK(packet_verify(bytes, &packet) && packet_source(bytes, DENIM_V4)[3] == 2);
	CHECK(packet_parse(bytes, length + 9, &packet) && packet.length == 152);
	length = put_packet(bytes, &udp6);
	CHECK(packet_parse(bytes, length, &packet) && packet.length == 81 && packet.plain);
	CHECK(packet.transport == 40 && packet.payload == 48 && packet.protocol == IPPROTO_UDP);
	CHECK(packet_verify(bytes, &packet) && packet_destination(bytes, DENIM_V6)[13] == 1);
}

static void reads_the_longest_header(void)
{
	uint8_t bytes[80] = { 0x4f, 0, 0, 80, [9] = IPPROTO_UDP };
	struct packet packet;

	CHECK(packet_parse(bytes, 80, &packet) && packet.transport == 60 && packet.payload == 68 && !packet.plain);
}

static void refuses_what_lies_about_its_lengths(void)
{
	static const uint8_t bad[][2] = { { 0, 0x44 }, { 0, 0x4f }, { 0, 0x55 }, { 0, 0x05 }, { 2, 0xff }, { 3, 19 } };
	struct packet packet;
	uint8_t bytes[40];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(bytes, 0, sizeof(bytes));
		bytes[0] = 0x45;
		bytes[3] = 40;
		CHECK(packet_parse(bytes, 40, &packet));
		bytes[bad[i][0]] = bad[i][1];
		CHECK(!packet_parse(bytes, 40, &packet));
	}
}

static void knows_fragments(void)
{
	uint8_t bytes[512];
	struct packet packet;
	uint32_t length = put_packet(bytes, &tcp4);

	bytes[6] = 0x20;
	CHECK(packet_parse(bytes, length, &packet) && packet.fragment == PACKET_FIRST_FRAGMENT);
	bytes[7] = 1;
	CHECK(packet_parse(bytes, length, &packet) && packet.fragment == PACKET_LATER_FRAGMENT);
	CHECK(packet.payload == packet.transport && !packet_verify(bytes, &packet));
}

/* Hop-by-hop, then a fragment header, then UDP. */
static void walks_extension_headers(void)
{
	uint8_t bytes[72] = { 0x60, 0, 0, 0, 0, 32, IPPROTO_HOPOPTS, 64, [40] = IPPROTO_FRAGMENT, [48] = IPPROTO_UDP };
	struct packet packet;

	CHECK(packet_parse(bytes, 72, &packet) && packet.transport == 56 && packet.protocol == IPPROTO_UDP);
	CHECK(packet.payload == 64 && !packet.plain && packet.fragment == PACKET_WHOLE);
	bytes[51] = 9;
	CHECK(packet_parse(bytes, 72, &packet) && packet.fragment == PACKET_LATER_FRAGMENT && packet.payload == 56);
	bytes[51] = 1;
	CHECK(packet_parse(bytes, 72, &packet) && packet.fragment == PACKET_FIRST_FRAGMENT);
	bytes[41] = 9;
	CHECK(!packet_parse(bytes, 72, &packet));
}

static void counts_down_and_keeps_the_checksum(void)
{
	struct shape shape = tcp4;
	uint8_t bytes[512];

	for (uint32_t id = 0; id < 65536; id++) {
		shape.identification = (uint16_t)id;
		shape.ttl = (uint8_t)(id % 254 + 2);
		put_ip(bytes, &shape, 100);
		CHECK(packet_count_down(bytes, DENIM_V4) && bytes[8] == shape.ttl - 1);
		CHECK(slow_sum(0, bytes, 20) == 0xffff);
	}
	shape.ttl = 1;
	put_ip(bytes, &shape, 100);
	CHECK(!packet_count_down(bytes, DENIM_V4) && bytes[8] == 1);
	put_packet(bytes, &udp6);
	CHECK(packet_count_down(bytes, DENIM_V6) && bytes[7] == 63);
	bytes[7] = 0;
	CHECK(!packet_count_down(bytes, DENIM_V6) && bytes[7] == 0);
}

static void sums_any_length_at_any_place(void)
{
	uint8_t bytes[300];
	uint64_t state = 1;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next_random(&state);
	for (size_t start = 0; start < 8; start++) {
		for (size_t length = 0; length < 290; length++) {
			uint8_t *copy = exact(bytes + start, length), sum[2];

			store_u16(sum, checksum_fold(checksum_add(0, copy, length)));
			CHECK(get_u16(sum) == slow_sum(0, copy, length));
			free(copy);
		}
	}
	CHECK(checksum_fold(UINT64_MAX) == 0xffff && checksum_fold(0x1fffffffful) == 1);
}

static void finds_every_bit_error(const struct shape *shape)
{
	uint8_t bytes[512];
	uint32_t length = put_packet(bytes, shape);
	struct packet packet, same;

	CHECK(packet_parse(bytes, length, &packet));
	for (uint32_t bit = 0; bit < 8 * length; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* IPv6 does not sum its first eight octets, which the parser did not find at fault. */
		if (packet_parse(bytes, length, &same) && memcmp(&same, &packet, sizeof(same)) == 0 &&
		    (shape->family == DENIM_V4 || bit >= 64))
			CHECK(!packet_verify(bytes, &packet));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void verifies(void)
{
	struct packet packet;
	uint8_t bytes[512];
	uint32_t length;

	finds_every_bit_error(&tcp4);
	finds_every_bit_error(&udp6);
	length = put_packet(bytes, &udp6);
	store_u16(bytes + 46, 0);
	CHECK(packet_parse(bytes, length, &packet) && !packet_verify(bytes, &packet));
}

static void survives_every_truncation_and_bit(void)
{
	static const struct shape *const shapes[] = { &tcp4, &udp6 };
	struct packet packet;
	uint8_t bytes[512];

	for (size_t i = 0; i < 2; i++) {
		uint32_t length = put_packet(bytes, shapes[i]);

		for (uint32_t cut = 0; cut < length; cut++) {
			uint8_t *copy = exact(bytes, cut);

			CHECK(!packet_parse(copy, cut, &packet));
			free(copy);
		}
		for (uint32_t bit = 0; bit < 8 * length; bit++) {
			uint8_t *copy = exact(bytes, length);

			copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (packet_parse(copy, length, &packet))
				packet_verify(copy, &packet);
			free(copy);
		}
	}
}

static uint32_t flow_of(const uint8_t *bytes, uint32_t length)
{
	struct packet packet;

	CHECK(packet_parse(bytes, length, &packet));
	return packet_flow(bytes, &packet);
}

/* Ports and protocol tell flows apart, payload and sequence do not. */
static void tells_flows_apart(void)
{
	struct shape shapes[] = { tcp4, udp6 };
	uint8_t bytes[512];

	for (int i = 0; i < 2; i++) {
		struct shape shape = shapes[i];
		uint32_t length = put_packet(bytes, &shape), flow = flow_of(bytes, length);

		shape.payload = 7;
		shape.sequence = shape.fill = 99;
		shape.identification = 5;
		CHECK(flow_of(bytes, put_packet(bytes, &shape)) == flow);
		shape.port++;
		CHECK(flow_of(bytes, put_packet(bytes, &shape)) != flow);
		shape.port--;
		shape.protocol = shape.protocol == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
		CHECK(flow_of(bytes, put_packet(bytes, &shape)) != flow);
		length = put_packet(bytes, &shapes[i]);
		bytes[i == 0 ? 19 : 39] ^= 1;
		CHECK(flow_of(bytes, length) != flow);
	}
	put_packet(bytes, &udp6);
	bytes[6] = IPPROTO_ESP;
	shapes[0].payload = flow_of(bytes, 81);
	bytes[3] = 1;
	CHECK(flow_of(bytes, 81) != shapes[0].payload);
}

/* Only the first fragment has ports, so none are looked at. */
static void fragments_are_one_flow(void)
{
	struct shape shape = tcp4;
	uint8_t bytes[512];
	uint32_t length = put_packet(bytes, &shape), first, later;

	bytes[6] = 0x20;
	first = flow_of(bytes, length);
	bytes[7] = 9;
	bytes[20] ^= 0x55;
	later = flow_of(bytes, length);
	shape.port++;
	put_packet(bytes, &shape);
	bytes[6] = 0x20;
	CHECK(first == later && flow_of(bytes, length) == first);
}

int main(void)
{
	RUN(reads_both_families);
	RUN(reads_the_longest_header);
	RUN(refuses_what_lies_about_its_lengths);
	RUN(knows_fragments);
	RUN(walks_extension_headers);
	RUN(counts_down_and_keeps_the_checksum);
	RUN(sums_any_length_at_any_place);
	RUN(verifies);
	RUN(tells_flows_apart);
	RUN(fragments_are_one_flow);
	RUN(survives_every_truncation_and_bit);
	return 0;
}
