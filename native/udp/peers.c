/* The peer table: hashes of prefixes, one for each length there is, and of public addresses; see peers.h. */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often a table is tried, and how often at one size. One draw in many is a bad one. */
enum { DRAWS = 24, DRAWS_A_SIZE = 4 };

static uint32_t octets(uint8_t family)
{
	return family == DENIM_V4 ? 4 : 16;
}

struct peer *peers_find(const struct peer_table *table, uint8_t family, const uint8_t *address, uint32_t *owner)
{
	int of = family == DENIM_V6;

	for (uint32_t i = 0; i < table->length_count[of]; i++) {
		uint32_t found = prefix_map_find(&table->subnets[of][i], table->subnet_keys, address);

		if (!found)
			continue;
		if (owner)
			*owner = table->owners[found - 1];
		return table->peers[found - 1];
	}
	return NULL;
}

uint32_t peers_owner(const struct peer_table *table, uint8_t family, const uint8_t *address)
{
	return prefix_map_find(&table->addresses[family == DENIM_V6], table->address_keys, address);
}

static bool peer_has(const struct peer *peer, uint8_t family, const uint8_t *address)
{
	return peer->record.underlay_family == family && memcmp(peer->record.address, address, octets(family)) == 0;
}

bool peer_moved_to(struct peer *peer, uint8_t family, const uint8_t *address)
{
	uint32_t state = atomic_load_explicit(&peer->moved, memory_order_acquire);

	if (state == MOVED_NOT && atomic_compare_exchange_strong(&peer->moved, &state, MOVED_SOON)) {
		peer->moved_to.family = family;
		memcpy(peer->moved_to.address, address, octets(family));
		atomic_store_explicit(&peer->moved, MOVED, memory_order_release);
		return true;
	}
	return state == MOVED && peer->moved_to.family == family &&
	       memcmp(peer->moved_to.address, address, octets(family)) == 0;
}

static bool valid(const struct denim_udp_peer *record)
{
	return (record->family == DENIM_V4 || record->family == DENIM_V6) && record->length <= 8 * octets(record->family) &&
	       (record->underlay_family == DENIM_V4 || record->underlay_family == DENIM_V6) && record->port != 0;
}

static struct peer *make_peer(const struct denim_udp_peer *record)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->record = *record;
	if (record->underlay_family == DENIM_V4) {
		peer->to.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(record->port) };
		memcpy(&peer->to.v4.sin_addr, record->address, 4);
		peer->to_length = sizeof(peer->to.v4);
	} else {
		peer->to.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(record->port) };
		memcpy(&peer->to.v6.sin6_addr, record->address, 16);
		peer->to_length = sizeof(peer->to.v6);
	}
	return peer;
}

/* The peer that has exactly this subnet. */
static struct peer *find_exactly(const struct peer_table *table, const struct denim_udp_peer *record)
{
	int of = record->family == DENIM_V6;
	uint32_t found = 0;

	for (uint32_t i = 0; i < table->length_count[of]; i++) {
		if (table->subnets[of][i].length == record->length)
			found = prefix_map_find(&table->subnets[of][i], table->subnet_keys, record->subnet);
	}
	return found ? table->peers[found - 1] : NULL;
}

/* The former object, where the peer stays; a new one otherwise. */
static struct peer *take_peer(const struct denim_udp_peer *record, const struct peer_table *before)
{
	struct peer *peer = before ? find_exactly(before, record) : NULL;

	if (!peer || peer->record.port != record->port || !peer_has(peer, record->underlay_family, record->address))
		peer = make_peer(record);
	if (peer)
		peer->references++;
	return peer;
}

/* What a table is built with: its hashes are drawn from the seed, its maps are 2^growth times as large as they need be. */
struct chance {
	uint64_t seed;
	uint32_t growth;
};

/* A map for every length there is, longest first. */
static int make_maps(struct peer_table *table, uint8_t family, const struct denim_udp_peer *records, uint32_t count,
		     struct chance *chance)
{
	uint32_t there[129] = { 0 }, lengths = 0;
	int of = family == DENIM_V6, result = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (records[i].family == family)
			lengths += there[records[i].length]++ == 0;
	}
	table->subnets[of] = calloc(lengths + 1, sizeof(*table->subnets[of]));
	if (!table->subnets[of])
		return -ENOMEM;
	for (int length = 128; result == 0 && length >= 0; length--) {
		if (there[length] > 0)
			result = prefix_map_init(&table->subnets[of][table->length_count[of]++], family, (uint8_t)length,
						 (uint64_t)there[length] << chance->growth, &chance->seed);
	}
	if (result == 0)
		result = prefix_map_init(&table->addresses[of], family, (uint8_t)(8 * octets(family)),
					 (uint64_t)count << chance->growth, &chance->seed);
	return result;
}

static struct peer_table *make_table(const struct denim_udp_peer *records, uint32_t count, struct chance *chance)
{
	struct peer_table *table = calloc(1, sizeof(*table) + count * sizeof(table->peers[0]));

	if (!table)
		return NULL;
	table->subnet_keys = calloc(count + 1u, sizeof(*table->subnet_keys));
	table->address_keys = calloc(count + 1u, sizeof(*table->address_keys));
	table->owners = calloc(count + 1u, sizeof(*table->owners));
	if (!table->subnet_keys || !table->address_keys || !table->owners || 
	    make_maps(table, DENIM_V4, records, count, chance) < 0 ||
	    make_maps(table, DENIM_V6, records, count, chance) < 0) {
		peers_free(table);
		return NULL;
	}
	return table;
}

/* 0 or -ENOSPC; the table has the peer in any case. */
static int enter(struct peer_table *table, struct peer *peer)
{
	const struct denim_udp_peer *record = &peer->record;
	struct prefix_map *subnets = table->subnets[record->family == DENIM_V6];
	struct prefix_map *addresses = &table->addresses[record->underlay_family == DENIM_V6];
	uint32_t index = table->count++;
	int result;

	while (subnets->length != record->length)
		subnets++;
	table->peers[index] = peer;
	table->subnet_keys[index] = prefix_key_of(subnets, record->subnet);
	table->address_keys[index] = prefix_key_of(addresses, record->address);
	result = prefix_map_put(subnets, table->subnet_keys, index + 1);
	table->owners[index] = prefix_map_find(addresses, table->address_keys, record->address);
	if (table->owners[index] == 0) {
		table->owners[index] = index + 1;
		if (result == 0)
			result = prefix_map_put(addresses, table->address_keys, index + 1);
	}
	return result;
}

/* What may change of a peer that stays. A risen MTU is worth another try of what the old one forbade. */
static void set_mtu(struct peer *peer, uint16_t mtu)
{
	uint32_t before = atomic_exchange(&peer->mtu, mtu);

	if (before != 0 && (mtu > before || mtu == 0))
		atomic_store(&peer->alone_until, 0);
}

/* NULL and -ENOMEM, or -ENOSPC: another draw will do, or larger maps. */
static struct peer_table *build_with(const struct denim_udp_peer *records, uint32_t count, const struct peer_table *before,
				     struct chance *chance, int *error)
{
	struct peer_table *table = make_table(records, count, chance);

	*error = table ? 0 : -ENOMEM;
	for (uint32_t i = 0; *error == 0 && i < count; i++) {
		struct peer *peer = take_peer(&records[i], before);

		*error = peer ? enter(table, peer) : -ENOMEM;
	}
	if (*error < 0) {
		peers_free(table);
		table = NULL;
	}
	return table;
}

struct peer_table *peers_build(const struct denim_udp_peer *records, uint32_t count, const struct peer_table *before,
			       uint64_t *seed, int *error)
{
	struct chance chance = { .seed = *seed };
	struct peer_table *table = NULL;

	*error = -EINVAL;
	if (count > INT32_MAX / 2)
		goto out;
	for (uint32_t i = 0; i < count; i++) {
		if (!valid(&records[i]))
			goto out;
	}
	*error = -ENOSPC;
	for (uint32_t draw = 0; *error == -ENOSPC && draw < DRAWS; draw++) {
		chance.growth = draw / DRAWS_A_SIZE;
		table = build_with(records, count, before, &chance, error);
	}
	*seed = chance.seed;
	if (!table)
		goto out;
	for (uint32_t i = 0; i < count; i++)
		set_mtu(table->peers[i], records[i].mtu);
	if (before)
		table->icmp = before->icmp;
out:
	return table;
}

struct peer_table *peers_again(const struct peer_table *table, uint64_t *seed, int *error)
{
	struct denim_udp_peer *records = calloc(table->count + 1u, sizeof(*records));
	struct peer_table *again = NULL;

	*error = -ENOMEM;
	if (!records)
		goto out;
	for (uint32_t i = 0; i < table->count; i++) {
		records[i] = table->peers[i]->record;
		records[i].mtu = (uint16_t)atomic_load(&table->peers[i]->mtu);
	}
	again = peers_build(records, table->count, table, seed, error);
out:
	free(records);
	return again;
}

void peers_free(struct peer_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < table->count; i++) {
		if (--table->peers[i]->references == 0)
			free(table->peers[i]);
	}
	for (int of = 0; of < 2; of++) {
		for (uint32_t i = 0; i < table->length_count[of]; i++)
			prefix_map_free(&table->subnets[of][i]);
		free(table->subnets[of]);
		prefix_map_free(&table->addresses[of]);
	}
	free(table->subnet_keys);
	free(table->address_keys);
	free(table->owners);
	free(table);
}
