/*
 * The stamp: a line for each file with what fstat said of it when its contents were last hashed, below the hash of the index. It
 * is never parsed: the same text is composed from the files as they are now, and compared.
 *
 * The change time is in it because nothing sets that back: a file that was written to has another one, whatever its other times
 * say.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 256, STAMP_MAX = (PACK_FILES_MAX + 1) * LINE };

static const char stamp_name[] = ".stamp", draft_name[] = ".stamp.new";

struct text {
	char bytes[STAMP_MAX];
	size_t length;
};

bool file_fits(int directory, const struct pack_file *file, struct stat *status)
{
	return fstatat(directory, file->name, status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status->st_mode) &&
	       status->st_uid == geteuid() && (status->st_mode & 07777) == file->mode && status->st_nlink == 1 &&
	       (uint64_t)status->st_size == file->size;
}

static int add_file(struct text *text, int directory, const struct pack_file *file)
{
	struct stat s;

	if (!file_fits(directory, file, &s))
		return -EBADMSG;
	text->length += (size_t)snprintf(text->bytes + text->length, LINE, "%s %llu %lld.%09ld %lld.%09ld\n", file->name,
					 (unsigned long long)s.st_ino, (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
					 (long long)s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
	return 0;
}

static int compose(struct text *text, int directory, const struct pack *pack)
{
	text->length = 0;
	for (size_t i = 0; i < SHA256_SIZE; i++)
		text->length += (size_t)snprintf(text->bytes + text->length, 3, "%02x", pack->hash[i]);
	text->bytes[text->length++] = '\n';
	for (uint32_t i = 0; i < pack->count; i++) {
		int result = add_file(text, directory, &pack->files[i]);

		if (result != 0)
			return result;
	}
	return 0;
}

int stamp_check(int directory, const struct pack *pack)
{
	static struct text now, then;
	int fd = -1, result;
	ssize_t length;

	result = compose(&now, directory, pack);
	if (result != 0)
		goto out;
	result = -EBADMSG;
	fd = openat(directory, stamp_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		goto out;
	length = read(fd, then.bytes, sizeof(then.bytes));
	if (length >= 0 && (size_t)length == now.length && memcmp(now.bytes, then.bytes, now.length) == 0)
		result = 0;
out:
	if (fd >= 0)
		close(fd);
	return result;
}

int stamp_write(int directory, const struct pack *pack)
{
	static struct text text;
	int fd = -1, result;

	result = compose(&text, directory, pack);
	if (result != 0)
		goto out;
	fd = openat(directory, draft_name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		result = -errno;
		goto out;
	}
	errno = EIO; /* for a short write, which sets none */
	if (write(fd, text.bytes, text.length) != (ssize_t)text.length || fsync(fd) != 0 ||
	    renameat(directory, draft_name, directory, stamp_name) != 0)
		result = -errno;
out:
	if (fd >= 0)
		close(fd);
	return result;
}
