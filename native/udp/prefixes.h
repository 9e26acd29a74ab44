/*
 * A hash of address prefixes of one length, for the files of this library only.
 *
 * Built once, then only read. A bucket is one cache line: numbers that tell keys apart beside what they stand for, compared
 * without a branch, so that a look-up in a large map costs one line more from a farther cache, and hardly a wrong guess.
 * IPv4 prefixes are such numbers themselves; of IPv6 prefixes a part of the hash is, and the key is compared too.
 *
 * The hash is drawn from a seed that nobody else knows, out of a family in which any two keys seldom collide, whichever they
 * are: whoever chooses prefixes can't make them collide. What does so by chance is refused; the map is to be built again.
 */
#ifndef DENIM_PREFIXES_H
#define DENIM_PREFIXES_H

#include "../bytes.h"
#include "../denim.h"

#include <stdbool.h>

enum { PREFIX_SLOTS = 8 };

struct prefix_key {
	uint64_t high, low; /* of IPv4 the address in `high` */
};

struct prefix_bucket {
	uint32_t tags[PREFIX_SLOTS];
	uint32_t values[PREFIX_SLOTS]; /* 0: free */
};

struct prefix_map {
	uint8_t family, length;
	uint32_t mask; /* buckets - 1 */
	uint32_t reach; /* how many buckets behind its own a key is at most */
	struct prefix_key keep; /* the bits of the prefix */
	struct prefix_bucket *buckets;
	uint64_t add, multiply[4]; /* the hash; of IPv4 the first factor alone */
};

/* For so many prefixes; the hash is drawn from `seed`, which moves on. 0 or -ENOMEM. */
int prefix_map_init(struct prefix_map *map, uint8_t family, uint8_t length, uint64_t count, uint64_t *seed);
void prefix_map_free(struct prefix_map *map);
struct prefix_key prefix_key_of(const struct prefix_map *map, const uint8_t *address);
/* keys[value - 1] is the key; a former value of the same key goes. -ENOSPC where too many collide. */
int prefix_map_put(struct prefix_map *map, const struct prefix_key *keys, uint32_t value);
/* 0 where there is none. */
uint32_t prefix_map_find(const struct prefix_map *map, const struct prefix_key *keys, const uint8_t *address);

#endif
