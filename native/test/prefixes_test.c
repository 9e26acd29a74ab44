/* The hash of prefixes: lengths, duplicates, full buckets, and prefixes that were chosen to collide. */
#include "../udp/prefixes.h"
#include "packets.h"

#include <errno.h>

enum { KEYS = 3000 };

static uint8_t addresses[KEYS][16];
static struct prefix_key keys[KEYS];
static uint64_t seed = 1;

/* Builds a map of the first `count` addresses; false where they collide. */
static bool build(struct prefix_map *map, uint8_t family, uint8_t length, uint32_t count)
{
	CHECK(prefix_map_init(map, family, length, count, &seed) == 0);
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

		CHECK(prefix_map_init(&map, DENIM_V6, (uint8_t)length, 1, &seed) == 0);
		key = prefix_key_of(&map, address);
		for (int bit = 0; bit < 64; bit++)
			ones += (int)(key.high >> bit & 1) + (int)(key.low >> bit & 1);
		CHECK(ones == length && (length == 0 || key.high >> 63 == 1) && (length <= 64 || ~key.high == 0));
		prefix_map_free(&map);
		if (length > 32)
			continue;
		CHECK(prefix_map_init(&map, DENIM_V4, (uint8_t)length, 1, &seed) == 0);
		CHECK(prefix_key_of(&map, address).high == (0xffffffff00000000u >> length & 0xffffffffu));
		prefix_map_free(&map);
	}
}

static void finds_all_and_no_others(void)
{
	struct prefix_map map;
	uint64_t state = 5;

	for (uint32_t kind = 0; kind < 32; kind++) {
		uint8_t family = kind % 2 ? DENIM_V6 : DENIM_V4, other[16] = { 0 };

		for (uint32_t i = 0; i < KEYS; i++) {
			put_u32(addresses[i], next_random(&state) << 1 | 1);
			put_u32(addresses[i] + 12, i);
		}
		CHECK(build(&map, family, family == DENIM_V4 ? 32 : 128, KEYS));
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

static void put_v6(uint8_t *address, uint64_t high, uint64_t low)
{
	put_u32(address, (uint32_t)(high >> 32));
	put_u32(address + 4, (uint32_t)high);
	put_u32(address + 8, (uint32_t)(low >> 32));
	put_u32(address + 12, (uint32_t)low);
}

/* Subnets of 10.0.0.0/8 that share a bucket for each of the sixteen seeds of a multiplication with a fixed factor. */
static void made_for_fixed_seeds(void)
{
	uint32_t made = 0;

	for (uint64_t fixed = 0; fixed < 16; fixed++) {
		for (uint32_t n = 0, found = 0; n < 65536 && found < KEYS / 16; n++) {
			uint64_t key = 0x0a000000u | n << 8;
			uint64_t mixed = (key ^ fixed * 0xd6e8feb86659fd93u) * 0x9e3779b97f4a7c15u;

			if ((mixed >> 32 & 255) != 7)
				continue;
			put_u32(addresses[made++], (uint32_t)key);
			found++;
		}
	}
	while (made < KEYS) {
		put_u32(addresses[made], 0x0b000000u | made << 8);
		made++;
	}
}

/* Addresses that a fixed mix of multiplications maps to one number: the way back through it. */
static void made_for_a_fixed_mix(void)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t high = 0xfd00000000000000u + i, mixed = (high ^ high >> 32) * 0x9e3779b97f4a7c15u;

		put_v6(addresses[i], high, 0x123456789abcdef0u * inverse(0xbf58476d1ce4e5b9u) ^ mixed ^ mixed >> 32);
	}
}

static void in_a_row(void)
{
	for (uint32_t i = 0; i < KEYS; i++)
		put_v6(addresses[i], (uint64_t)(0x0a000000u + 256 * i) << 32, 0);
}

static void in_leaps(void)
{
	for (uint32_t i = 0; i < KEYS; i++)
		put_v6(addresses[i], (uint64_t)(i << 20 | i) << 32 | i << 16, (uint64_t)i << 48);
}

/* Differing in few bits of each word, all ways. */
static void of_few_bits(void)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t high = (uint64_t)(i & 15) << 60 | (uint64_t)(i >> 4 & 15) << 28;

		put_v6(addresses[i], high | (uint64_t)(i >> 8 & 15) << 32, (uint64_t)i << 59);
	}
}

/* Whatever the keys are: few of many draws are bad ones, so that one of a few is good. */
static void no_set_of_keys_can_be_made_to_collide(void)
{
	void (*const sets[])(void) = { made_for_fixed_seeds, made_for_a_fixed_mix, in_a_row, in_leaps, of_few_bits };
	enum { DRAWN = 300 };

	for (size_t set = 0; set < sizeof(sets) / sizeof(sets[0]); set++) {
		for (int kind = 0; kind < 2; kind++) {
			uint8_t family = kind ? DENIM_V6 : DENIM_V4;
			int bad = 0;

			memset(addresses, 0, sizeof(addresses));
			sets[set]();
			for (int drawn = 0; drawn < DRAWN; drawn++) {
				struct prefix_map map;

				if (build(&map, family, family == DENIM_V4 ? 32 : 128, KEYS))
					prefix_map_free(&map);
				else
					bad++;
			}
			printf("  set %zu, family %d: %d of %d draws are bad\n", set, family, bad, DRAWN);
			CHECK(bad <= DRAWN / 10);
		}
	}
}

int main(void)
{
	RUN(keeps_the_bits_of_its_length);
	RUN(finds_all_and_no_others);
	RUN(no_set_of_keys_can_be_made_to_collide);
	return 0;
}
