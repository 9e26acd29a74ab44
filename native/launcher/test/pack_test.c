/* The archive's index: what is accepted, and that each way of being wrong is noticed. */
#include "../../test/check.h"
#include "../pack.h"

#include <string.h>

enum { FILES = 3, INDEX = PACK_HEAD + FILES * PACK_ENTRY, OFFSET = 8192, SIZE = OFFSET + INDEX + PACK_TRAILER };

struct sample {
	uint8_t index[PACK_INDEX_MAX];
	uint8_t trailer[PACK_TRAILER];
};

static void put(uint8_t *to, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static void put_file(uint8_t *entry, const char *name, uint64_t offset, uint64_t size)
{
	strcpy((char *)entry, name);
	put(entry + 64, 0500, 4);
	put(entry + 72, offset, 8);
	put(entry + 80, size, 8);
}

/* The trailer as the index asks for. */
static void seal(struct sample *s)
{
	struct sha256 hash;

	memcpy(s->trailer, "denimpk1", 8);
	put(s->trailer + 8, OFFSET, 8);
	put(s->trailer + 16, INDEX, 8);
	put(s->trailer + 24, SIZE, 8);
	sha256_init(&hash);
	sha256_update(&hash, s->index, INDEX);
	sha256_final(&hash, s->trailer + 32);
}

static void make(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	put(s->index, FILES, 4);
	strcpy((char *)s->index + 8, "v1.2.3-0123456789abcdef");
	strcpy((char *)s->index + 64, "glibc 2.27 or later");
	put_file(s->index + PACK_HEAD, "flanneld", 4096, 4096);
	put_file(s->index + PACK_HEAD + PACK_ENTRY, "main.js", 100, 7);
	put_file(s->index + PACK_HEAD + 2 * PACK_ENTRY, "libdenim.so", OFFSET, 0);
	seal(s);
}

static bool parses(const struct sample *s)
{
	struct pack_trailer trailer;
	struct pack pack;

	return pack_parse_trailer(&trailer, s->trailer, SIZE) && pack_parse_index(&pack, s->index, &trailer);
}

static void reads_what_was_written(void)
{
	struct pack_trailer trailer;
	struct pack pack;
	struct sample s;

	make(&s);
	CHECK(pack_parse_trailer(&trailer, s.trailer, SIZE));
	CHECK(trailer.index_offset == OFFSET && trailer.index_size == INDEX);
	CHECK(pack_parse_index(&pack, s.index, &trailer));
	CHECK(pack.count == FILES && strcmp(pack.name, "v1.2.3-0123456789abcdef") == 0);
	CHECK(strcmp(pack.needs, "glibc 2.27 or later") == 0);
	CHECK(pack_find(&pack, "main.js")->offset == 100 && pack_find(&pack, "main.js")->size == 7);
	CHECK(pack_find(&pack, "main.js")->mode == 0500 && pack_find(&pack, "main") == NULL);
}

/* Whether the sample is refused with `count` bytes at `at` of the index replaced, under a trailer that fits. */
static bool refused_with(size_t at, const void *bytes, size_t count)
{
	struct sample s;

	make(&s);
	memcpy(s.index + at, bytes, count);
	seal(&s);
	return !parses(&s);
}

static void refuses_names_that_lead_elsewhere(void)
{
	static const char *const names[] = { "", ".", "..", ".stamp", "a/b", "/etc", "-x", "a b", "main.js" };
	char field[64] = "";

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		memset(field, 0, sizeof(field));
		strcpy(field, names[i]);
		CHECK(refused_with(PACK_HEAD + 2 * PACK_ENTRY, field, sizeof(field)));
	}
	CHECK(refused_with(8, "../x", 5));
	CHECK(refused_with(64, "a\nb", 4));
	memset(field, 'a', sizeof(field));
	CHECK(refused_with(PACK_HEAD + 2 * PACK_ENTRY, field, sizeof(field)));
}

static void refuses_files_outside(void)
{
	static const struct {
		uint64_t offset, size;
	} cases[] = { { OFFSET + 1, 0 }, { OFFSET, 1 }, { 0, OFFSET + 1 }, { 1, UINT64_MAX }, { UINT64_MAX, 1 } };
	uint8_t bytes[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put(bytes, cases[i].offset, 8);
		put(bytes + 8, cases[i].size, 8);
		CHECK(refused_with(PACK_HEAD + 72, bytes, sizeof(bytes)));
	}
}

static void refuses_modes_and_missing_files(void)
{
	uint8_t mode[4];

	put(mode, 04755, 4);
	CHECK(refused_with(PACK_HEAD + 64, mode, sizeof(mode)));
	put(mode, 0300, 4);
	CHECK(refused_with(PACK_HEAD + 64, mode, sizeof(mode)));
	put(mode, FILES + 1, 4);
	CHECK(refused_with(0, mode, sizeof(mode)));
	CHECK(refused_with(PACK_HEAD, "flannelx", 9));
	CHECK(refused_with(PACK_HEAD + PACK_ENTRY, "main.jx", 8));
}

static void refuses_any_changed_byte(void)
{
	struct sample s;

	for (size_t i = 0; i < INDEX + PACK_TRAILER; i++) {
		make(&s);
		*(i < INDEX ? &s.index[i] : &s.trailer[i - INDEX]) ^= 0x10;
		CHECK(!parses(&s));
	}
}

static void refuses_a_file_cut_off(void)
{
	struct pack_trailer trailer;
	struct sample s;

	make(&s);
	CHECK(!pack_parse_trailer(&trailer, s.trailer, SIZE - 1));
	CHECK(!pack_parse_trailer(&trailer, s.trailer, SIZE + 4096));
	CHECK(!pack_parse_trailer(&trailer, s.trailer, 0));
}

int main(void)
{
	RUN(reads_what_was_written);
	RUN(refuses_names_that_lead_elsewhere);
	RUN(refuses_files_outside);
	RUN(refuses_modes_and_missing_files);
	RUN(refuses_any_changed_byte);
	RUN(refuses_a_file_cut_off);
	return 0;
}
