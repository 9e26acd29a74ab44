/* Building and asking the hash of prefixes; see prefixes.h. */
#include "prefixes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEYS_A_BUCKET = 4, /* at most, on average: few buckets overflow */
	REACH_MAX = 8,
	BUCKETS_MAX = 1 << 24,
};

static uint64_t get_u64(const uint8_t *at)
{
	return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

/* The first `bits` of a word of so many. */
static uint64_t first_bits(int bits, int of)
{
	if (bits <= 0)
		return 0;
	return bits >= of ? UINT64_MAX >> (64 - of) : (UINT64_MAX << (of - bits)) & (UINT64_MAX >> (64 - of));
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators): all numbers differ and look drawn. */
static uint64_t draw(uint64_t *seed)
{
	uint64_t mixed = *seed += 0x9e3779b97f4a7c15u;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
	return mixed ^ mixed >> 31;
}

int prefix_map_init(struct prefix_map *map, uint8_t family, uint8_t length, uint64_t count, uint64_t *seed)
{
	uint32_t buckets = 1;

	while (buckets < BUCKETS_MAX && (uint64_t)buckets * KEYS_A_BUCKET < count)
		buckets *= 2;
	*map = (struct prefix_map){ .family = family, .length = length, .mask = buckets - 1, .add = draw(seed) };
	for (int i = 0; i < 4; i++)
		map->multiply[i] = draw(seed);
	map->keep.high = first_bits(length, family == DENIM_V4 ? 32 : 64);
	map->keep.low = family == DENIM_V4 ? 0 : first_bits(length - 64, 64);
	map->buckets = aligned_alloc(sizeof(*map->buckets), buckets * sizeof(*map->buckets));
	if (!map->buckets)
		return -ENOMEM;
	memset(map->buckets, 0, buckets * sizeof(*map->buckets));
	return 0;
}

void prefix_map_free(struct prefix_map *map)
{
	free(map->buckets);
	map->buckets = NULL;
}

struct prefix_key prefix_key_of(const struct prefix_map *map, const uint8_t *address)
{
	struct prefix_key key = { 0 };

	if (map->family == DENIM_V4) {
		key.high = get_u32(address) & map->keep.high;
	} else {
		key.high = get_u64(address) & map->keep.high;
		key.low = get_u64(address + 8) & map->keep.low;
	}
	return key;
}

/*
 * The bucket from the upper half, the tag from the lower. Multiply-shift and pair-multiply-shift (Thorup: High speed hashing
 * for integers and strings, 2015): over the draw of the factors, the upper halves of any two keys are as two random numbers.
 */
static uint64_t hash(const struct prefix_map *map, const struct prefix_key *key)
{
	const uint64_t *factor = map->multiply;

	if (map->family == DENIM_V4)
		return ((key->high * factor[0] + map->add) & 0xffffffff00000000u) | key->high;
	return (factor[0] + (uint32_t)key->high) * (factor[1] + (key->high >> 32)) +
	       (factor[2] + (uint32_t)key->low) * (factor[3] + (key->low >> 32)) + map->add;
}

/* The value beside the tag, 0 for none: a bucket has no tag twice but those of free places. */
static uint32_t value_at(const struct prefix_bucket *bucket, uint32_t tag)
{
	uint32_t found = 0;

	for (int i = 0; i < PREFIX_SLOTS; i++)
		found |= bucket->values[i] & -(uint32_t)(bucket->tags[i] == tag);
	return found;
}

static bool same(const struct prefix_map *map, const struct prefix_key *a, const struct prefix_key *b)
{
	return map->family == DENIM_V4 || (a->high == b->high && a->low == b->low);
}

uint32_t prefix_map_find(const struct prefix_map *map, const struct prefix_key *keys, const uint8_t *address)
{
	struct prefix_key key = prefix_key_of(map, address);
	uint64_t mixed = hash(map, &key);

	for (uint32_t i = 0; i <= map->reach; i++) {
		uint32_t value = value_at(&map->buckets[((mixed >> 32) + i) & map->mask], (uint32_t)mixed);

		if (value != 0 && same(map, &keys[value - 1], &key))
			return value;
	}
	return 0;
}

/* True where the key has its place in this bucket now. */
static bool put_into(const struct prefix_map *map, struct prefix_bucket *bucket, const struct prefix_key *keys,
		     uint32_t tag, uint32_t value)
{
	int place = -1;

	for (int i = 0; i < PREFIX_SLOTS; i++) {
		if (bucket->values[i] == 0 && place < 0)
			place = i;
		if (bucket->values[i] == 0 || bucket->tags[i] != tag)
			continue;
		/* Another key with the same tag keeps this one out. */
		if (!same(map, &keys[bucket->values[i] - 1], &keys[value - 1]))
			return false;
		place = i;
		break;
	}
	if (place < 0)
		return false;
	bucket->tags[place] = tag;
	bucket->values[place] = value;
	return true;
}

int prefix_map_put(struct prefix_map *map, const struct prefix_key *keys, uint32_t value)
{
	uint64_t mixed = hash(map, &keys[value - 1]);
	uint32_t away = 0;

	while (!put_into(map, &map->buckets[((mixed >> 32) + away) & map->mask], keys, (uint32_t)mixed, value)) {
		if (++away > REACH_MAX)
			return -ENOSPC;
	}
	map->reach = away > map->reach ? away : map->reach;
	return 0;
}
