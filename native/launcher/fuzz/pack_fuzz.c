/*
 * The archive's trailer and index on any bytes. The input is the end of a file: index, then trailer. With an odd first byte the
 * size and the hash in the trailer are made right, which gets past them at once.
 */
#include "../pack.h"

#include <stdlib.h>
#include <string.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static void put64(uint8_t *to, uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static void repair(uint8_t trailer[PACK_TRAILER], const uint8_t *index, size_t size, uint64_t offset)
{
	struct sha256 hash;

	memcpy(trailer, "denimpk1", 8);
	put64(trailer + 8, offset);
	put64(trailer + 16, size);
	put64(trailer + 24, offset + size + PACK_TRAILER);
	sha256_init(&hash);
	sha256_update(&hash, index, size);
	sha256_final(&hash, trailer + 32);
}

/* What the rest of the launcher relies on. */
static void rely(const struct pack *pack, uint64_t end)
{
	for (uint32_t i = 0; i < pack->count; i++) {
		const struct pack_file *file = &pack->files[i];

		if (strchr(file->name, '/') || file->name[0] == '.' || file->offset > end || file->size > end - file->offset)
			abort();
	}
	if (pack->count > PACK_FILES_MAX || strchr(pack->name, '/') || !pack_find(pack, PACK_PROGRAM))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	static struct pack pack;
	struct pack_trailer trailer;
	uint8_t *index = NULL, end[PACK_TRAILER];
	size_t size;
	uint64_t offset = 1 << 20;

	if (length < 1 + PACK_TRAILER)
		return 0;
	size = length - 1 - PACK_TRAILER;
	index = malloc(size + 1);
	if (!index)
		return 0;
	memcpy(index, input + 1, size);
	memcpy(end, input + 1 + size, PACK_TRAILER);
	if (input[0] & 1)
		repair(end, index, size, offset);
	/* Any trailer may name another size than is here: the launcher reads as much as it says. */
	if (pack_parse_trailer(&trailer, end, offset + size + PACK_TRAILER) && trailer.index_size == size &&
	    pack_parse_index(&pack, index, &trailer))
		rely(&pack, trailer.index_offset);
	free(index);
	return 0;
}
