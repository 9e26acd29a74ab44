/* ICMP errors: what they say, about what there is none, how many there are. */
#include "../udp/icmp.h"
#include "packets.h"

static const uint8_t us[16] = { 10, 1, 9, 0 };
static uint8_t bytes[2048], out[ICMP_ROOM];

/* About a packet with these 2 octets at `at` behind its IP header. */
static uint32_t about(struct shape shape, enum icmp_kind kind, uint32_t at, uint8_t type)
{
	uint32_t length = put_packet(bytes, &shape), result;
	struct packet packet;
	uint8_t *copy;

	if (at > 0)
		bytes[at] = type;
	copy = exact(bytes, length);
	CHECK(packet_parse(copy, length, &packet));
	result = icmp_build(kind, copy, &packet, us, 1372, out);
	free(copy);
	return result;
}

static const struct shape v4 = { .family = DENIM_V4, .protocol = IPPROTO_UDP, .ttl = 1, .payload = 1000 };
static const struct shape v6 = { .family = DENIM_V6, .protocol = IPPROTO_UDP, .ttl = 1, .payload = 1500 };

static void says_it_in_v4(void)
{
	static const uint8_t codes[][2] = { { 11, 0 }, { 3, 0 }, { 3, 4 } };

	for (int kind = ICMP_TIME_OVER; kind <= ICMP_TOO_LONG; kind++) {
		uint32_t length = about(v4, (enum icmp_kind)kind, 0, 0);

		CHECK(length == 576 && get_u16(out + 2) == 576 && slow_sum(0, out, 20) == 0xffff);
		CHECK(slow_sum(0, out + 20, length - 20) == 0xffff);
		CHECK(memcmp(out + 12, us, 4) == 0 && memcmp(out + 16, bytes + 12, 4) == 0 && out[9] == IPPROTO_ICMP);
		CHECK(out[20] == codes[kind][0] && out[21] == codes[kind][1]);
		CHECK(get_u32(out + 24) == (kind == ICMP_TOO_LONG ? 1372 : 0) && memcmp(out + 28, bytes, 548) == 0);
	}
}

static void says_it_in_v6(void)
{
	static const uint8_t codes[][2] = { { 3, 0 }, { 1, 0 }, { 2, 0 } };

	for (int kind = ICMP_TIME_OVER; kind <= ICMP_TOO_LONG; kind++) {
		uint32_t length = about(v6, (enum icmp_kind)kind, 0, 0);

		CHECK(length == 1280 && get_u16(out + 4) == 1240 && out[6] == IPPROTO_ICMPV6);
		CHECK(slow_sum(slow_pseudo(out, DENIM_V6, IPPROTO_ICMPV6, 1240), out + 40, 1240) == 0xffff);
		CHECK(memcmp(out + 8, us, 16) == 0 && memcmp(out + 24, bytes + 8, 16) == 0);
		CHECK(out[40] == codes[kind][0] && get_u32(out + 44) == (kind == ICMP_TOO_LONG ? 1372 : 0));
	}
}

static void quotes_a_short_packet_whole(void)
{
	struct shape shape = v4;

	shape.payload = 0;
	CHECK(about(shape, ICMP_NO_WAY, 0, 0) == 56);
}

static void is_silent_where_it_must_be(void)
{
	struct shape icmp = v4, icmp6 = v6;

	icmp.protocol = IPPROTO_ICMP;
	icmp6.protocol = IPPROTO_ICMPV6;
	CHECK(about(icmp, ICMP_NO_WAY, 20, 8) > 0 && about(icmp6, ICMP_NO_WAY, 40, 128) > 0);
	for (uint8_t type = 3; type <= 5; type++)
		CHECK(about(icmp, ICMP_NO_WAY, 20, type) == 0);
	CHECK(about(icmp, ICMP_NO_WAY, 20, 11) == 0 && about(icmp, ICMP_NO_WAY, 20, 12) == 0);
	for (uint8_t type = 1; type < 128; type++)
		CHECK(about(icmp6, ICMP_NO_WAY, 40, type) == 0);
	CHECK(about(v4, ICMP_NO_WAY, 7, 1) == 0);
	CHECK(about(v4, ICMP_NO_WAY, 12, 224) == 0 && about(v4, ICMP_NO_WAY, 16, 239) == 0);
	CHECK(about(v4, ICMP_NO_WAY, 12, 0) == 0 && about(v4, ICMP_NO_WAY, 12, 127) == 0);
	CHECK(about(v6, ICMP_NO_WAY, 8, 0xff) == 0 && about(v6, ICMP_NO_WAY, 24, 0xff) == 0);
}

static uint32_t allowed(struct icmp_bucket *bucket, uint64_t now)
{
	uint32_t count = 0;

	while (count < 1000 && icmp_allow(bucket, now))
		count++;
	return count;
}

static void counts_its_tokens(void)
{
	struct icmp_bucket bucket = { 0 };

	CHECK(allowed(&bucket, 5000000000) == 50 && allowed(&bucket, 5000000000) == 0);
	CHECK(allowed(&bucket, 5009999999) == 0 && allowed(&bucket, 5010000000) == 1);
	CHECK(allowed(&bucket, 5100000000) == 9 && allowed(&bucket, 99000000000) == 50);
}

int main(void)
{
	RUN(says_it_in_v4);
	RUN(says_it_in_v6);
	RUN(quotes_a_short_packet_whole);
	RUN(is_silent_where_it_must_be);
	RUN(counts_its_tokens);
	return 0;
}
