/* SHA-256 (FIPS 180-4), for the launcher alone: it may use no library. */
#ifndef DENIM_LAUNCHER_SHA256_H
#define DENIM_LAUNCHER_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_BLOCK = 64 };

struct sha256 {
	uint32_t state[8];
	uint64_t length; /* bytes so far */
	uint8_t block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const uint8_t *bytes, size_t length);
/* Ends the hash; it must be initialised again before more is added. */
void sha256_final(struct sha256 *hash, uint8_t digest[SHA256_SIZE]);

#endif
