/* The peer table: a hash of prefixes, asked once per prefix length there is; see peers.h. */
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct key {
	uint8_t family, length;
	uint8_t address[16];
};

static uint32_t octets(uint8_t family)
{
	return family == DENIM_V4 ? 4 : 16;
}

static struct key key_of(uint8_t family, uint8_t length, const uint8_t *address)
{
	struct key key = { .family = family, .length = length };

	memcpy(key.address, address, (length + 7u) / 8);
	if (length % 8)
		key.address[length / 8] &= (uint8_t)(0xff00 >> length % 8);
	return key;
}

static uint32_t hash(const struct key *key)
{
	uint64_t high, low, mixed;

	memcpy(&high, key->address, 8);
	memcpy(&low, key->address + 8, 8);
	mixed = (high ^ (uint64_t)key->length << 56 ^ (uint64_t)key->family << 48) * 0x9e3779b97f4a7c15u;
	mixed = (mixed ^ mixed >> 32 ^ low) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(mixed ^ mixed >> 32);
}

static bool same(const struct key *a, const struct key *b)
{
	return a->family == b->family && a->length == b->length && memcmp(a->address, b->address, 16) == 0;
}

static struct key subnet_of(const struct peer *peer)
{
	return key_of(peer->record.family, peer->record.length, peer->record.subnet);
}

static struct key address_of(const struct peer *peer)
{
	uint8_t family = peer->record.underlay_family;

	return key_of(family, (uint8_t)(8 * octets(family)), peer->record.address);
}

typedef struct key key_function(const struct peer *peer);

/* The place where the key is, or where it would be put. */
static uint32_t *place(const struct peer_table *table, uint32_t *places, key_function *key_of_peer, const struct key *key)
{
	uint32_t at = hash(key) & table->mask;
	struct key there;

	while (places[at] != 0) {
		there = key_of_peer(table->peers[places[at] - 1]);
		if (same(&there, key))
			break;
		at = (at + 1) & table->mask;
	}
	return &places[at];
}

static struct peer *find_exactly(const struct peer_table *table, const struct key *key)
{
	uint32_t found = *place(table, table->subnets, subnet_of, key);

	return found == 0 ? NULL : table->peers[found - 1];
}

struct peer *peers_find(const struct peer_table *table, uint8_t family, const uint8_t *address)
{
	int of = family == DENIM_V6;
	struct peer *found;
	struct key key;

	for (uint32_t i = 0; i < table->length_count[of]; i++) {
		key = key_of(family, table->lengths[of][i], address);
		found = find_exactly(table, &key);
		if (found)
			return found;
	}
	return NULL;
}

bool peers_know(const struct peer_table *table, uint8_t family, const uint8_t *address)
{
	struct key key = key_of(family, (uint8_t)(8 * octets(family)), address);

	return *place(table, table->addresses, address_of, &key) != 0;
}

bool peer_has(const struct peer *peer, uint8_t family, const uint8_t *address)
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

/* The former object, where the peer stays; a new one otherwise. */
static struct peer *take_peer(const struct denim_udp_peer *record, const struct peer_table *before)
{
	struct key key = key_of(record->family, record->length, record->subnet);
	struct peer *peer = before ? find_exactly(before, &key) : NULL;

	if (!peer || peer->record.port != record->port || !peer_has(peer, record->underlay_family, record->address))
		peer = make_peer(record);
	if (peer)
		peer->references++;
	return peer;
}

static struct peer_table *make_table(uint32_t count)
{
	struct peer_table *table = calloc(1, sizeof(*table) + count * sizeof(table->peers[0]));
	uint32_t places = 16;

	while (places < 2 * (uint64_t)count)
		places *= 2;
	if (!table)
		return NULL;
	table->mask = places - 1;
	table->subnets = calloc(places, sizeof(*table->subnets));
	table->addresses = calloc(places, sizeof(*table->addresses));
	if (!table->subnets || !table->addresses) {
		peers_free(table);
		return NULL;
	}
	return table;
}

static void enter(struct peer_table *table, struct peer *peer)
{
	struct key subnet = subnet_of(peer), address = address_of(peer);

	table->peers[table->count++] = peer;
	*place(table, table->subnets, subnet_of, &subnet) = table->count;
	*place(table, table->addresses, address_of, &address) = table->count;
}

static void gather_lengths(struct peer_table *table)
{
	bool there[2][129] = { 0 };

	for (uint32_t i = 0; i < table->count; i++)
		there[table->peers[i]->record.family == DENIM_V6][table->peers[i]->record.length] = true;
	for (int of = 0; of < 2; of++) {
		for (int length = 128; length >= 0; length--) {
			if (there[of][length])
				table->lengths[of][table->length_count[of]++] = (uint8_t)length;
		}
	}
}

/* What may change of a peer that stays. A risen MTU is worth another try of what the old one forbade. */
static void set_mtu(struct peer *peer, uint16_t mtu)
{
	uint32_t before = atomic_exchange(&peer->mtu, mtu);

	if (before != 0 && (mtu > before || mtu == 0))
		atomic_store(&peer->alone_until, 0);
}

struct peer_table *peers_build(const struct denim_udp_peer *records, uint32_t count, const struct peer_table *before,
			       int *error)
{
	struct peer_table *table = NULL;
	struct peer *peer;

	*error = -EINVAL;
	if (count > INT32_MAX / 2)
		goto out;
	for (uint32_t i = 0; i < count; i++) {
		if (!valid(&records[i]))
			goto out;
	}
	*error = -ENOMEM;
	table = make_table(count);
	if (!table)
		goto out;
	for (uint32_t i = 0; i < count; i++) {
		peer = take_peer(&records[i], before);
		if (!peer) {
			peers_free(table);
			table = NULL;
			goto out;
		}
		enter(table, peer);
	}
	for (uint32_t i = 0; i < count; i++)
		set_mtu(table->peers[i], records[i].mtu);
	gather_lengths(table);
	if (before)
		table->icmp = before->icmp;
	*error = 0;
out:
	return table;
}

struct peer_table *peers_again(const struct peer_table *table, int *error)
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
	again = peers_build(records, table->count, table, error);
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
	free(table->subnets);
	free(table->addresses);
	free(table);
}
