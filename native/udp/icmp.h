/*
 * ICMP errors about inner packets, for the files of this library only. Pure. Sources: RFC 792, 1122 §3.2.2, 1191, 4443.
 */
#ifndef DENIM_ICMP_H
#define DENIM_ICMP_H

#include "packet.h"

enum icmp_kind { ICMP_TIME_OVER, ICMP_NO_WAY, ICMP_TOO_LONG };

/* Longest error: 576 octets of IPv4, 1280 of IPv6. */
enum { ICMP_ROOM = 1280 };

/*
 * Writes the error about `packet`, from `source` to the packet's source; `mtu` goes with ICMP_TOO_LONG. Returns its length,
 * 0 where there must be none: about ICMP errors, later fragments, whatever has no one unicast source or destination.
 */
uint32_t icmp_build(enum icmp_kind kind, const uint8_t *bytes, const struct packet *packet, const uint8_t *source,
		    uint32_t mtu, uint8_t out[ICMP_ROOM]);

/* A token bucket: 50 at once, 100 a second. */
struct icmp_bucket {
	uint64_t last; /* ns */
	uint64_t credit; /* ns worth of tokens */
};

bool icmp_allow(struct icmp_bucket *bucket, uint64_t now);

#endif
