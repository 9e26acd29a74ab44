/* Parsing the archive's trailer and index. Pure: bytes in, records out; see pack.h for the format. */
#include "pack.h"

#include <string.h>

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p + 4) << 32 | get32(p);
}

bool pack_parse_trailer(struct pack_trailer *trailer, const uint8_t bytes[PACK_TRAILER], uint64_t file_size)
{
	if (memcmp(bytes, "denimpk1", 8) != 0 || get64(bytes + 24) != file_size || file_size < PACK_TRAILER)
		return false;
	trailer->index_offset = get64(bytes + 8);
	trailer->index_size = get64(bytes + 16);
	memcpy(trailer->index_hash, bytes + 32, SHA256_SIZE);
	if (trailer->index_size < PACK_HEAD + PACK_ENTRY || trailer->index_size > PACK_INDEX_MAX)
		return false;
	return trailer->index_offset <= file_size && file_size - trailer->index_offset == trailer->index_size + PACK_TRAILER;
}

/* Copies a text that ends inside its field. */
static bool get_text(char *to, const uint8_t *from, size_t size)
{
	memcpy(to, from, size);
	return to[size - 1] == '\0';
}

static bool is_plain(const char *name)
{
	if (name[0] == '\0' || name[0] == '.' || name[0] == '-')
		return false;
	return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static bool parse_file(struct pack_file *file, const uint8_t *bytes, uint64_t end)
{
	if (!get_text(file->name, bytes, sizeof(file->name)) || !is_plain(file->name))
		return false;
	file->mode = get32(bytes + 64);
	file->offset = get64(bytes + 72);
	file->size = get64(bytes + 80);
	memcpy(file->hash, bytes + 88, SHA256_SIZE);
	if ((file->mode & ~0755u) != 0 || (file->mode & 0400) == 0)
		return false;
	return file->offset <= end && file->size <= end - file->offset;
}

bool pack_parse_index(struct pack *pack, const uint8_t *bytes, const struct pack_trailer *trailer)
{
	struct sha256 hash;

	memset(pack, 0, sizeof(*pack));
	sha256_init(&hash);
	sha256_update(&hash, bytes, trailer->index_size);
	sha256_final(&hash, pack->hash);
	if (memcmp(pack->hash, trailer->index_hash, SHA256_SIZE) != 0)
		return false;
	if (get32(bytes) > PACK_FILES_MAX || trailer->index_size != PACK_HEAD + (uint64_t)get32(bytes) * PACK_ENTRY)
		return false;
	if (!get_text(pack->name, bytes + 8, sizeof(pack->name)) || !is_plain(pack->name))
		return false;
	if (!get_text(pack->needs, bytes + 64, sizeof(pack->needs)) || !is_printable(pack->needs))
		return false;
	for (uint32_t i = 0, count = get32(bytes); i < count; i++) {
		struct pack_file file = { 0 };

		if (!parse_file(&file, bytes + PACK_HEAD + i * PACK_ENTRY, trailer->index_offset) || pack_find(pack, file.name))
			return false;
		pack->files[pack->count++] = file;
	}
	return pack_find(pack, PACK_PROGRAM) && pack_find(pack, PACK_MAIN);
}

const struct pack_file *pack_find(const struct pack *pack, const char *name)
{
	for (uint32_t i = 0; i < pack->count; i++)
		if (strcmp(pack->files[i].name, name) == 0)
			return &pack->files[i];
	return NULL;
}
