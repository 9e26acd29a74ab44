/*
 * Who has which subnet, for the files of this library only.
 *
 * A table is immutable once built: packet threads read it without a lock, the control thread swaps it in whole. What
 * changes are a peer's counters, which are atomic and live in an object of their own that goes from table to table. Only
 * the control thread builds, frees, and counts references.
 */
#ifndef DENIM_PEERS_H
#define DENIM_PEERS_H

#include "../denim.h"
#include "prefixes.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Of the address that a peer's packets are accepted from beside its own. */
enum moved_state { MOVED_NOT, MOVED_SOON, MOVED };

struct peer {
	struct denim_udp_peer record;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t to_length;
	uint32_t references; /* tables that it is in */
	_Atomic uint32_t mtu; /* 0: no limit */
	_Atomic uint32_t alone_until; /* s of the monotonic clock: no UDP_SEGMENT towards it before */
	_Atomic uint32_t moved; /* enum moved_state */
	struct {
		uint8_t family, address[16];
	} moved_to; /* written once, by whoever changed `moved` from MOVED_NOT */
	_Atomic uint64_t sent_packets, sent_bytes, received_packets, received_bytes;
};

struct peer_table {
	struct peer_table *next; /* of those waiting to be freed */
	uint32_t count;
	struct prefix_map *subnets[2]; /* index + 1 of a peer; one for each length, longest first: IPv4, IPv6 */
	uint32_t length_count[2];
	struct prefix_map addresses[2]; /* by public address, index + 1 of the first peer that has it: its owner's number */
	struct prefix_key *subnet_keys, *address_keys; /* of each peer */
	uint32_t *owners; /* of each peer: the number of who has its public address */
	struct denim_udp_icmp icmp; /* what else is swapped in with it */
	struct peer *peers[];
};

/*
 * From `before` (may be NULL) come the objects of peers that stay. Hashes are drawn from `seed`, a secret that moves on. NULL
 * and a negative errno where that fails.
 */
struct peer_table *peers_build(const struct denim_udp_peer *records, uint32_t count, const struct peer_table *before,
			       uint64_t *seed, int *error);
/* The same peers once more. */
struct peer_table *peers_again(const struct peer_table *table, uint64_t *seed, int *error);
void peers_free(struct peer_table *table);
/*
 * The peer with the longest prefix that holds the address, or NULL; the number of its public address's owner in `owner`
 * where that is not NULL. Cost grows with the different lengths only. Nothing of the peer itself is read: that would cost as
 * much again.
 */
struct peer *peers_find(const struct peer_table *table, uint8_t family, const uint8_t *address, uint32_t *owner);
/* The number of the owner of this public address, 0 for none. Peers with one address have one owner. */
uint32_t peers_owner(const struct peer_table *table, uint8_t family, const uint8_t *address);
/* The address is the first other one that was asked about for this peer. Any thread. */
bool peer_moved_to(struct peer *peer, uint8_t family, const uint8_t *address);

#endif
