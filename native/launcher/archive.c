/* Reading the archive out of a file. */
#include "launcher.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads all of it. -EBADMSG where the file ends before. */
static int read_at(int fd, uint8_t *bytes, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t n = pread(fd, bytes, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		bytes += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int archive_open(int fd, struct pack *pack)
{
	static uint8_t index[PACK_INDEX_MAX];
	uint8_t bytes[PACK_TRAILER];
	struct pack_trailer trailer;
	struct stat status;
	int result;

	if (fstat(fd, &status) != 0)
		return -errno;
	if (status.st_size < PACK_TRAILER)
		return -EBADMSG;
	result = read_at(fd, bytes, sizeof(bytes), (uint64_t)status.st_size - PACK_TRAILER);
	if (result != 0)
		return result;
	if (!pack_parse_trailer(&trailer, bytes, (uint64_t)status.st_size))
		return -EBADMSG;
	result = read_at(fd, index, trailer.index_size, trailer.index_offset);
	if (result != 0)
		return result;
	return pack_parse_index(pack, index, &trailer) ? 0 : -EBADMSG;
}

int archive_hash(int fd, uint64_t offset, uint64_t size, int copy, uint8_t digest[SHA256_SIZE])
{
	static uint8_t buffer[256 * 1024];
	struct sha256 hash;

	sha256_init(&hash);
	while (size > 0) {
		size_t part = size < sizeof(buffer) ? (size_t)size : sizeof(buffer);
		int result = read_at(fd, buffer, part, offset);

		if (result == 0 && copy >= 0)
			result = write_all(copy, buffer, part);
		if (result != 0)
			return result;
		sha256_update(&hash, buffer, part);
		offset += part;
		size -= part;
	}
	sha256_final(&hash, digest);
	return 0;
}
