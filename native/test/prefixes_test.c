/* The hash of prefixes: lengths, duplicates, full buckets, and prefixes that were chosen to collide. */
#include "../prefixes.h"
#include "packets.h"

#include <errno.h>

enum { KEYS = 3000 };

static uint8_t addresses[KEYS][16];
static struct prefix_key keys[KEYS];

/* Builds a map of the first `count` addresses; false where they collide. */
static bool build(struct prefix_map *map, uint8_t family, uint8_t length, uint32_t count, uint32_t seed)
{
	CHECK(prefix_map_init(map, family, length, count, seed) == 0);
	for (uint32_t i = 0; i < count; i++) {
		keys[i] = prefix_key_of(map, addresses[i]);
		if (prefix_map_put(map, keys, i + 1) == -ENOSPC) {
			prefix_map_free(map);
			return false;
		}
	}
	return true;
}

static void keeps_the_bits_of_its_length(void)
{
	struct prefix_map map;
	uint8_t address[16];

	memset(address, 0xff, sizeof(address));
	for (int length = 0; length <= 128; length++) {
		struct prefix_key key;
		int ones = 0;

		CHECK(prefix_map_init(&map, DENIM_V6, (uint8_t)length, 1, 0) == 0);
		key = prefix_key_of(&map, address);
		for (int bit = 0; bit < 64; bit++)
			ones += (int)(key.high >> bit & 1) + (int)(key.low >> bit & 1);
		CHECK(ones == length && (length == 0 || key.high >> 63 == 1) && (length <= 64 || ~key.high == 0));
		prefix_map_free(&map);
		if (length > 32)
			continue;
		CHECK(prefix_map_init(&map, DENIM_V4, (uint8_t)length, 1, 0) == 0);
		CHECK(prefix_key_of(&map, address).high == (0xffffffff00000000u >> length & 0xffffffffu));
		prefix_map_free(&map);
	}
}

static void finds_all_and_no_others(void)
{
	struct prefix_map map;
	uint64_t state = 5;

	for (uint32_t kind = 0; kind < 2 * PREFIX_SEEDS; kind++) {
		uint8_t family = kind % 2 ? DENIM_V6 : DENIM_V4, other[16] = { 0 };

		for (uint32_t i = 0; i < KEYS; i++) {
			put_u32(addresses[i], next_random(&state) << 1 | 1);
			put_u32(addresses[i] + 12, i);
		}
		CHECK(build(&map, family, family == DENIM_V4 ? 32 : 128, KEYS, kind / 2));
		for (uint32_t i = 0; i < KEYS; i++) {
			uint32_t found = prefix_map_find(&map, keys, addresses[i]);

			/* Of the same IPv4 address the last one counts. */
			CHECK(found == i + 1 || (found > i + 1 && memcmp(addresses[found - 1], addresses[i], 4) == 0));
			put_u32(other, get_u32(addresses[i]) & ~1u);
			CHECK(prefix_map_find(&map, keys, other) == 0);
		}
		prefix_map_free(&map);
	}
}

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

/* Addresses that all have the same hash with the first seed: the way back through it. */
static void what_is_made_to_collide_needs_another_seed(void)
{
	struct prefix_map map;

	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t high = 0xfd00000000000000u + i, mixed = (high ^ high >> 32) * 0x9e3779b97f4a7c15u;
		uint64_t low = 0x123456789abcdef0u * inverse(0xbf58476d1ce4e5b9u) ^ mixed ^ mixed >> 32;

		put_u32(addresses[i], (uint32_t)(high >> 32));
		put_u32(addresses[i] + 4, (uint32_t)high);
		put_u32(addresses[i] + 8, (uint32_t)(low >> 32));
		put_u32(addresses[i] + 12, (uint32_t)low);
	}
	CHECK(!build(&map, DENIM_V6, 128, KEYS, 0));
	CHECK(build(&map, DENIM_V6, 128, KEYS, 1));
	for (uint32_t i = 0; i < KEYS; i++)
		CHECK(prefix_map_find(&map, keys, addresses[i]) == i + 1);
	prefix_map_free(&map);
}

int main(void)
{
	RUN(keeps_the_bits_of_its_length);
	RUN(finds_all_and_no_others);
	RUN(what_is_made_to_collide_needs_another_seed);
	return 0;
}
