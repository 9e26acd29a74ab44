/* The peer table: longest prefix, both families, whose public address; counters that go on; ten thousand cost as ten. */
#include "../udp/peers.h"
#include "packets.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static uint64_t seed = 1;

static struct denim_udp_peer peer_v4(uint32_t subnet, uint8_t length, uint32_t address)
{
	struct denim_udp_peer record = { .family = DENIM_V4, .length = length, .underlay_family = DENIM_V4, .port = 8285 };

	for (int i = 0; i < 4; i++) {
		record.subnet[i] = (uint8_t)(subnet >> (24 - 8 * i));
		record.address[i] = (uint8_t)(address >> (24 - 8 * i));
	}
	return record;
}

static struct denim_udp_peer peer_v6(uint8_t subnet, uint8_t length, uint8_t address)
{
	struct denim_udp_peer record = { .family = DENIM_V6, .length = length, .underlay_family = DENIM_V6, .port = 1 };

	record.subnet[0] = record.address[0] = 0xfd;
	record.subnet[7] = subnet;
	record.address[15] = address;
	return record;
}

static struct peer_table *build(const struct denim_udp_peer *records, uint32_t count, const struct peer_table *before)
{
	int error;
	struct peer_table *table = peers_build(records, count, before, &seed, &error);

	CHECK(table != NULL && error == 0);
	return table;
}

/* The last octet of the peer's public address, 0 for none. */
static int owner(const struct peer_table *table, uint32_t address)
{
	uint8_t bytes[4] = { (uint8_t)(address >> 24), (uint8_t)(address >> 16), (uint8_t)(address >> 8), (uint8_t)address };
	const struct peer *peer = peers_find(table, DENIM_V4, bytes, NULL);

	return peer ? peer->record.address[3] : 0;
}

static void finds_the_longest_prefix(void)
{
	const struct denim_udp_peer records[] = { peer_v4(0x0a010100, 24, 1), peer_v4(0x0a010000, 16, 2),
						  peer_v4(0x0a010180, 27, 3), peer_v4(0x0a020202, 32, 4) };
	struct peer_table *table = build(records, 4, NULL);

	CHECK(owner(table, 0x0a010101) == 1 && owner(table, 0x0a0101ff) == 1 && owner(table, 0x0a0101a0) == 1);
	CHECK(owner(table, 0x0a010180) == 3 && owner(table, 0x0a01019f) == 3);
	CHECK(owner(table, 0x0a010201) == 2 && owner(table, 0x0a020202) == 4);
	CHECK(owner(table, 0x0a020203) == 0 && owner(table, 0) == 0);
	peers_free(table);
}

static void knows_a_default_and_nobody(void)
{
	const struct denim_udp_peer everything = peer_v4(0, 0, 9);
	struct peer_table *table = build(&everything, 1, NULL);

	CHECK(owner(table, 0) == 9 && owner(table, 0xffffffff) == 9);
	peers_free(table);
	table = build(NULL, 0, NULL);
	CHECK(owner(table, 0x0a010101) == 0 && !peers_owner(table, DENIM_V4, everything.address));
	peers_free(table);
}

static void keeps_the_families_apart(void)
{
	const struct denim_udp_peer records[] = { peer_v6(1, 64, 1), peer_v6(1, 63, 2), peer_v4(0xfd000000, 24, 3) };
	uint8_t inside[16] = { 0xfd, [7] = 1, [15] = 77 }, outside[16] = { 0xfd, [7] = 2 };
	struct peer_table *table = build(records, 3, NULL);

	CHECK(peers_find(table, DENIM_V6, inside, NULL)->record.address[15] == 1);
	inside[7] = 0;
	CHECK(peers_find(table, DENIM_V6, inside, NULL)->record.address[15] == 2 && !peers_find(table, DENIM_V6, outside, NULL));
	CHECK(peers_find(table, DENIM_V4, inside, NULL)->record.address[3] == 3);
	CHECK(peers_owner(table, DENIM_V6, records[0].address) && !peers_owner(table, DENIM_V4, records[0].address));
	CHECK(peers_owner(table, DENIM_V6, records[0].address) != peers_owner(table, DENIM_V6, records[1].address));
	peers_free(table);
}

static void refuses_records_that_are_none(void)
{
	struct denim_udp_peer good = peer_v4(0x0a010100, 24, 1), bad[5];
	int error;

	for (int i = 0; i < 5; i++)
		bad[i] = good;
	bad[0].family = 5;
	bad[1].length = 33;
	bad[2].underlay_family = 0;
	bad[3].port = 0;
	bad[4].family = DENIM_V6, bad[4].length = 129;
	for (int i = 0; i < 5; i++) {
		struct denim_udp_peer both[] = { good, bad[i] };

		CHECK(!peers_build(both, 2, NULL, &seed, &error) && error == -EINVAL);
	}
}

static void goes_on_counting_for_who_stays(void)
{
	struct denim_udp_peer records[] = { peer_v4(0x0a010100, 24, 1), peer_v4(0x0a010200, 24, 2) };
	struct peer_table *first, *second;

	records[0].mtu = 1400;
	first = build(records, 2, NULL);
	first->peers[0]->sent_packets = 7;
	first->peers[1]->sent_packets = 8;
	first->peers[0]->alone_until = 1;
	first->icmp.has_v4 = 1;
	records[1].address[3] = 3;
	second = build(records, 2, first);
	CHECK(second->peers[0] == first->peers[0] && second->peers[1] != first->peers[1]);
	peers_free(first);
	CHECK(second->icmp.has_v4 == 1);
	CHECK(second->peers[0]->sent_packets == 7 && second->peers[1]->sent_packets == 0 && second->peers[0]->alone_until == 1);
	records[0].mtu = 1450;
	first = build(records, 2, second);
	peers_free(second);
	CHECK(first->peers[0]->mtu == 1450 && first->peers[0]->alone_until == 0);
	peers_free(first);
}

static void the_last_of_one_subnet_counts(void)
{
	const struct denim_udp_peer records[] = { peer_v4(0x0a010100, 24, 1), peer_v4(0x0a010177, 24, 2) };
	struct peer_table *table = build(records, 2, NULL), *again;

	CHECK(owner(table, 0x0a010101) == 2 && table->count == 2);
	again = build(records, 2, table);
	peers_free(table);
	CHECK(owner(again, 0x0a010101) == 2);
	peers_free(again);
}

/* Whose public address it is: the same number for every subnet of one host, another for every other host. */
static void tells_owners_apart(void)
{
	struct denim_udp_peer records[] = { peer_v4(0x0a010100, 24, 1), peer_v4(0x0a010200, 24, 2), peer_v6(1, 64, 1) };
	struct peer_table *table;
	uint32_t owners[3] = { 0 }, sum = 0;
	const uint8_t nobody[4] = { 0, 0, 0, 3 };

	records[2].underlay_family = DENIM_V4;
	memcpy(records[2].address, records[0].address, 16);
	table = build(records, 3, NULL);
	for (int i = 0; i < 3; i++) {
		CHECK(peers_find(table, records[i].family, records[i].subnet, &owners[i]) == table->peers[i]);
		CHECK(owners[i] != 0 && owners[i] == peers_owner(table, DENIM_V4, records[i].address));
		sum += peers_owner(table, DENIM_V6, records[i].address);
	}
	CHECK(owners[0] == owners[2] && owners[0] != owners[1] && sum == 0 && peers_owner(table, DENIM_V4, nobody) == 0);
	peers_free(table);
}

static bool holds(const struct denim_udp_peer *record, const uint8_t *address)
{
	for (uint8_t bit = 0; bit < record->length; bit++) {
		if ((record->subnet[bit / 8] ^ address[bit / 8]) & 128 >> bit % 8)
			return false;
	}
	return true;
}

/* As many prefixes of every length as fit, compared with a search one by one. */
static void finds_what_a_plain_search_finds(void)
{
	static struct denim_udp_peer records[3000];
	uint64_t state = 3;
	struct peer_table *table;
	uint8_t address[16] = { 0 };
	uint32_t found = 0;

	for (uint32_t i = 0; i < 3000; i++) {
		bool v6 = i % 2;
		uint8_t *subnet = records[i].subnet;

		records[i] = v6 ? peer_v6(0, (uint8_t)(next_random(&state) % 129), 1)
				: peer_v4(0, (uint8_t)(next_random(&state) % 33), 1);
		for (int at = 0; at < 16; at++)
			subnet[at] = at < (v6 ? 16 : 4) ? (uint8_t)(next_random(&state) % 3) : 0;
	}
	table = build(records, 3000, NULL);
	for (uint32_t round = 0; round < 3000; round++) {
		uint8_t family = round % 2 ? DENIM_V6 : DENIM_V4;
		struct peer *best = NULL, *peer;

		for (int at = 0; at < 16; at++)
			address[at] = (uint8_t)(next_random(&state) % 3);
		for (uint32_t i = 0; i < 3000; i++) {
			if (records[i].family == family && holds(&records[i], address) &&
			    (!best || records[i].length >= best->record.length))
				best = table->peers[i];
		}
		peer = peers_find(table, family, address, NULL);
		CHECK(peer == best);
		found += peer && peer->record.length > 0;
	}
	CHECK(found > 1000);
	peers_free(table);
}

static double nanoseconds(const struct peer_table *table, uint32_t peers)
{
	struct timespec from, to;
	uint32_t found = 0;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint32_t i = 0; i < 1000000; i++)
		found += owner(table, 0x0a000000 + i % peers * 256 + 5) != 0;
	clock_gettime(CLOCK_MONOTONIC, &to);
	CHECK(found == 1000000);
	return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

/* Printed, not asserted. */
static void ten_thousand_cost_as_ten(void)
{
	static struct denim_udp_peer records[10000];
	struct peer_table *few, *many;

	for (uint32_t i = 0; i < 10000; i++)
		records[i] = peer_v4(0x0a000000 + i * 256, 24, 0xc0a80000 + (i / 200 << 8 | (i % 200 + 1)));
	few = build(records, 10, NULL);
	many = build(records, 10000, few);
	peers_free(few);
	few = build(records, 10, many);
	printf("a look-up among 10 peers: %.0f ns, among 10000: %.0f ns\n", nanoseconds(few, 10), nanoseconds(many, 10000));
	peers_free(few);
	for (uint32_t i = 0; i < 10000; i++)
		CHECK(owner(many, 0x0a000000 + i * 256 + 9) == (int)(i % 200 + 1) &&
		      peers_owner(many, DENIM_V4, records[i].address));
	peers_free(many);
}

/* A seed with which the first map, of `count` subnets of 24 bits in a row, is a bad one. */
static uint64_t bad_seed(uint32_t count)
{
	static struct prefix_key keys[4096];

	for (uint64_t tried = 1; tried < 200000; tried++) {
		struct prefix_map map;
		uint64_t moves_on = tried;
		int result = prefix_map_init(&map, DENIM_V4, 24, count, &moves_on);

		for (uint32_t i = 0; result == 0 && i < count; i++) {
			keys[i].high = 0x0a000000 + 256 * i;
			result = prefix_map_put(&map, keys, i + 1);
		}
		prefix_map_free(&map);
		if (result == -ENOSPC)
			return tried;
	}
	return 0;
}

static void a_bad_draw_is_drawn_again(void)
{
	enum { COUNT = 4096 };
	static struct denim_udp_peer records[COUNT];
	uint64_t bad = bad_seed(COUNT), moves_on = bad;
	struct peer_table *table;
	int error;

	for (uint32_t i = 0; i < COUNT; i++)
		records[i] = peer_v4(0x0a000000 + 256 * i, 24, 0xac100000 + i);
	CHECK(bad != 0);
	table = peers_build(records, COUNT, NULL, &moves_on, &error);
	CHECK(table != NULL && error == 0 && table->count == COUNT && moves_on != bad);
	for (uint32_t i = 0; i < COUNT; i++) {
		uint8_t inside[4] = { 10, (uint8_t)(i >> 8), (uint8_t)i, 7 };

		CHECK(peers_find(table, DENIM_V4, inside, NULL) == table->peers[i]);
	}
	peers_free(table);
}

int main(void)
{
	RUN(finds_the_longest_prefix);
	RUN(a_bad_draw_is_drawn_again);
	RUN(knows_a_default_and_nobody);
	RUN(keeps_the_families_apart);
	RUN(refuses_records_that_are_none);
	RUN(goes_on_counting_for_who_stays);
	RUN(the_last_of_one_subnet_counts);
	RUN(tells_owners_apart);
	RUN(finds_what_a_plain_search_finds);
	RUN(ten_thousand_cost_as_ten);
	return 0;
}
