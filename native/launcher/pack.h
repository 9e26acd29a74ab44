/*
 * The archive behind the launcher, as tasks/compile_pack.ts writes it. All numbers are little-endian:
 *
 *   launcher (ELF) | files, each at its offset | index | trailer (64 bytes, the end of the file)
 *
 *   trailer: "denimpk1", u64 offset of the index, u64 its size, u64 size of the whole file, SHA-256 of the index
 *   index:   u32 number of files, u32 zero, char name[56], char needs[64], then 128 bytes a file:
 *            char name[64], u32 permissions, u32 zero, u64 offset, u64 size, SHA-256, 8 zero bytes
 *
 * The parser is pure and trusts nothing: names are plain file names, files lie between the launcher and the index, and the
 * texts end inside their fields.
 */
#ifndef DENIM_LAUNCHER_PACK_H
#define DENIM_LAUNCHER_PACK_H

#include "sha256.h"

#include <stdbool.h>

enum {
	PACK_TRAILER = 64,
	PACK_HEAD = 128,
	PACK_ENTRY = 128,
	PACK_FILES_MAX = 128,
	PACK_INDEX_MAX = PACK_HEAD + PACK_FILES_MAX * PACK_ENTRY,
};

/* Files that every pack has. */
#define PACK_PROGRAM "flanneld"
#define PACK_MAIN "main.js"

struct pack_trailer {
	uint64_t index_offset, index_size;
	uint8_t index_hash[SHA256_SIZE];
};

struct pack_file {
	char name[64];
	uint32_t mode; /* permission bits */
	uint64_t offset, size;
	uint8_t hash[SHA256_SIZE];
};

struct pack {
	char name[56];	/* of the directory it is extracted to: the version and a hash of the contents */
	char needs[64]; /* what the program needs of a system, for people */
	uint8_t hash[SHA256_SIZE]; /* of the index */
	uint32_t count;
	struct pack_file files[PACK_FILES_MAX];
};

/* @file_size: of the file that ends with the trailer. Returns false where it is none of ours or damaged. */
bool pack_parse_trailer(struct pack_trailer *trailer, const uint8_t bytes[PACK_TRAILER], uint64_t file_size);

/* @bytes: the index, as long as the trailer says. Returns false where it is damaged. */
bool pack_parse_index(struct pack *pack, const uint8_t *bytes, const struct pack_trailer *trailer);

/* The file of this name, or NULL. */
const struct pack_file *pack_find(const struct pack *pack, const char *name);

#endif
