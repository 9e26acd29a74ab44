/* SHA-256 against the vectors of FIPS 180-4's examples, and any way of cutting the input. */
#include "../../test/check.h"
#include "../sha256.h"

#include <string.h>

static void digest_of(char text[2 * SHA256_SIZE + 1], const uint8_t *bytes, size_t length, size_t step)
{
	struct sha256 hash;
	uint8_t digest[SHA256_SIZE];

	sha256_init(&hash);
	for (size_t at = 0; at < length; at += step)
		sha256_update(&hash, bytes + at, length - at < step ? length - at : step);
	sha256_final(&hash, digest);
	for (size_t i = 0; i < SHA256_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static void agrees_with_the_standard(void)
{
	static const struct {
		const char *text, *digest;
	} vectors[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
	};
	char text[2 * SHA256_SIZE + 1];

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		digest_of(text, (const uint8_t *)vectors[i].text, strlen(vectors[i].text), 1 << 20);
		CHECK(strcmp(text, vectors[i].digest) == 0);
	}
}

static void hashes_a_million_bytes_in_any_pieces(void)
{
	static const size_t steps[] = { 1, 63, 64, 65, 127, 4096, 1000000 };
	static uint8_t bytes[1000000];
	char text[2 * SHA256_SIZE + 1];

	memset(bytes, 'a', sizeof(bytes));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		digest_of(text, bytes, sizeof(bytes), steps[i]);
		CHECK(strcmp(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0);
	}
}

/* Around the place where the length no longer fits into the last block. */
static void pads_at_every_length(void)
{
	uint8_t bytes[200];
	char whole[2 * SHA256_SIZE + 1], pieces[2 * SHA256_SIZE + 1], before[2 * SHA256_SIZE + 1] = "";

	memset(bytes, 0, sizeof(bytes));
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		digest_of(whole, bytes, length, 1000);
		digest_of(pieces, bytes, length, 7);
		CHECK(strcmp(whole, pieces) == 0 && strcmp(whole, before) != 0);
		strcpy(before, whole);
	}
	CHECK(strcmp(whole, "6d9c54dee5660c46886f32d80e57e9dd0ffa57ee0cd2a762b036d9c8e0c3a33a") == 0);
}

int main(void)
{
	RUN(agrees_with_the_standard);
	RUN(hashes_a_million_bytes_in_any_pieces);
	RUN(pads_at_every_length);
	return 0;
}
