/*
 * What looking a peer up costs: nanoseconds a packet of the real table, by number of peers, for random addresses.
 *
 * `out` is the look-up of a packet from the device (whose is the destination?), `in` that of a datagram (is its source a
 * peer's, whose is the inner source, are they the same?). Numbers of peers take turns, round after round. Prints JSON lines.
 */
#include "../udp/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15, ADDRESSES = 1 << 14, REPEATS = 64 };

static const uint32_t counts[] = { 1, 100, 10000 };

struct address {
	uint32_t peer;
	uint8_t bytes[16];
};

struct subject {
	struct peer_table *table;
	struct address *addresses;
};

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static void *room(size_t count, size_t size)
{
	void *bytes = calloc(count, size);

	if (!bytes)
		abort();
	return bytes;
}

/* The subnet of a peer: 10.X.Y.0/24, or fd00:X:Y::/64. */
static void put_subnet(uint8_t bytes[16], uint8_t family, uint32_t peer)
{
	memset(bytes, 0, 16);
	if (family == DENIM_V4) {
		bytes[0] = 10;
		bytes[1] = (uint8_t)(peer >> 8);
		bytes[2] = (uint8_t)peer;
		return;
	}
	bytes[0] = 0xfd;
	bytes[6] = (uint8_t)(peer >> 8);
	bytes[7] = (uint8_t)peer;
}

static struct subject prepare(uint8_t family, uint32_t count)
{
	struct denim_udp_peer *records = room(count, sizeof(*records));
	struct subject subject = { .addresses = room(ADDRESSES, sizeof(struct address)) };
	uint64_t state = 1, seed = 1;
	int error;

	for (uint32_t i = 0; i < count; i++) {
		records[i] = (struct denim_udp_peer){ .family = family, .length = family == DENIM_V4 ? 24 : 64,
						      .underlay_family = DENIM_V4, .port = 8285,
						      .address = { 192, 168, (uint8_t)(i >> 8), (uint8_t)i } };
		put_subnet(records[i].subnet, family, i);
	}
	subject.table = peers_build(records, count, NULL, &seed, &error);
	if (!subject.table)
		abort();
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		subject.addresses[i].peer = next_random(&state) % count;
		put_subnet(subject.addresses[i].bytes, family, subject.addresses[i].peer);
		subject.addresses[i].bytes[family == DENIM_V4 ? 3 : 15] = (uint8_t)next_random(&state);
	}
	free(records);
	return subject;
}

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint32_t look_up(const struct peer_table *table, uint8_t family, const struct address *address, bool in)
{
	const uint8_t from[4] = { 192, 168, (uint8_t)(address->peer >> 8), (uint8_t)address->peer };
	uint32_t owner = 0;

	if (!in)
		return peers_find(table, family, address->bytes, NULL) != NULL;
	return peers_find(table, family, address->bytes, &owner) && owner == peers_owner(table, DENIM_V4, from);
}

static double measure(const struct subject *subject, uint8_t family, bool in)
{
	uint64_t start = nanoseconds();
	uint32_t found = 0;

	for (uint32_t repeat = 0; repeat < REPEATS; repeat++) {
		for (uint32_t i = 0; i < ADDRESSES; i++)
			found += look_up(subject->table, family, &subject->addresses[i], in);
	}
	if (found != REPEATS * ADDRESSES)
		abort();
	return (double)(nanoseconds() - start) / (REPEATS * ADDRESSES);
}

int main(void)
{
	enum { COUNTS = sizeof(counts) / sizeof(counts[0]) };
	struct subject subjects[2][COUNTS];

	for (int of = 0; of < 2; of++) {
		for (int i = 0; i < COUNTS; i++)
			subjects[of][i] = prepare(of ? DENIM_V6 : DENIM_V4, counts[i]);
	}
	for (int round = -1; round < ROUNDS; round++) {
		for (int which = 0; which < 4 * COUNTS; which++) {
			int of = which & 1, in = which >> 1 & 1, i = which >> 2;
			double cost = measure(&subjects[of][i], of ? DENIM_V6 : DENIM_V4, in);

			/* The first round warms up. */
			if (round >= 0)
				printf("{\"family\":%d,\"way\":\"%s\",\"peers\":%u,\"ns\":%.2f}\n", of ? 6 : 4, in ? "in" : "out",
				       counts[i], cost);
		}
	}
	for (int of = 0; of < 2; of++) {
		for (int i = 0; i < COUNTS; i++) {
			peers_free(subjects[of][i].table);
			free(subjects[of][i].addresses);
		}
	}
	return 0;
}
