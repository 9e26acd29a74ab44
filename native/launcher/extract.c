/*
 * The extraction: found as it was left, or verified, or made. A new one is built as <name>.new, under the base's lock, and gets
 * its name by rename when every file is on the disk with the hash that the index gives and the program has run once; whoever
 * looks in between sees the old state or the new one, and waits for the lock as long as there is no stamp. What a start left that
 * was killed is taken away by the next one.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct names {
	char draft[sizeof(((struct pack *)0)->name) + 8], old[sizeof(((struct pack *)0)->name) + 8];
};

/* Opens a directory that is the caller's alone. -EBADMSG: it isn't. */
static int open_private(int parent, const char *name, int *directory)
{
	struct stat s;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &s) != 0 || s.st_uid != geteuid() || (s.st_mode & 07777) != 0700) {
		close(fd);
		return -EBADMSG;
	}
	*directory = fd;
	return 0;
}

static int verify_file(int directory, const struct pack_file *file)
{
	uint8_t digest[SHA256_SIZE];
	struct stat status;
	int fd = -1, result;

	if (file_fits(directory, file, &status))
		fd = openat(directory, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -EBADMSG;
	result = archive_hash(fd, 0, file->size, -1, digest);
	if (result == 0 && memcmp(digest, file->hash, SHA256_SIZE) != 0)
		result = -EBADMSG;
	close(fd);
	return result;
}

static int verify_files(int directory, const struct pack *pack)
{
	int result = 0;

	for (uint32_t i = 0; i < pack->count && result == 0; i++)
		result = verify_file(directory, &pack->files[i]);
	return result;
}

static int write_file(int directory, const struct pack_file *file, int self)
{
	uint8_t digest[SHA256_SIZE];
	int fd = openat(directory, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), result;

	if (fd < 0)
		return -errno;
	result = archive_hash(self, file->offset, file->size, fd, digest);
	if (result == 0 && memcmp(digest, file->hash, SHA256_SIZE) != 0)
		result = -ESTALE;
	if (result == 0 && (fchmod(fd, file->mode) != 0 || fsync(fd) != 0))
		result = -errno;
	if (close(fd) != 0 && result == 0)
		result = -errno;
	return result;
}

static int fill(int directory, const struct pack *pack, int self)
{
	int result = fchmod(directory, 0700) != 0 ? -errno : 0;

	for (uint32_t i = 0; i < pack->count && result == 0; i++)
		result = write_file(directory, &pack->files[i], self);
	if (result == 0)
		result = start_trial(directory, pack);
	if (result == 0 && fsync(directory) != 0)
		result = -errno;
	return result;
}

/* Puts <name>.new in the place of what is there, if anything. */
static int install(const struct base *base, const char *name, const struct names *names)
{
	int result = tree_remove(base->fd, names->old);

	if (result != 0)
		return result;
	if (renameat(base->fd, name, base->fd, names->old) != 0 && errno != ENOENT)
		return -errno;
	if (renameat(base->fd, names->draft, base->fd, name) != 0 || fsync(base->fd) != 0)
		return -errno;
	return tree_remove(base->fd, names->old);
}

/*
 * After the hashes were right: Deno's notes on the modules, which are kept by the path they have now, then the stamp. A place that
 * can't be written to is hashed at every start, and that is all.
 */
static int settle(const struct base *base, int directory, const struct pack *pack)
{
	char path[PATH_MAX + sizeof(pack->name) + 1];
	int result;

	snprintf(path, sizeof(path), "%s/%s", base->path, pack->name);
	start_warm(directory, path);
	result = stamp_write(directory, pack);
	return result == -EROFS || result == -EACCES || result == -ENOSPC || result == -EDQUOT ? 0 : result;
}

static int build(const struct base *base, const struct pack *pack, int self, int *directory)
{
	struct names names;
	int fd = -1, result;

	snprintf(names.draft, sizeof(names.draft), "%s.new", pack->name);
	snprintf(names.old, sizeof(names.old), "%s.old", pack->name);
	base_sweep(base);
	result = tree_remove(base->fd, names.draft);
	if (result != 0)
		return result;
	if (mkdirat(base->fd, names.draft, 0700) != 0)
		return -errno;
	fd = openat(base->fd, names.draft, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		result = -errno;
		goto out;
	}
	result = fill(fd, pack, self);
	if (result == 0)
		result = install(base, pack->name, &names);
	if (result == 0)
		result = settle(base, fd, pack);
out:
	if (result == 0) {
		*directory = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	tree_remove(base->fd, names.draft);
	return result;
}

/* What is there, if it is as built. -EBADMSG or -ENOENT: it is not. */
static int find(const struct base *base, const struct pack *pack, bool verify, int *directory)
{
	int result = open_private(base->fd, pack->name, directory);

	if (result != 0)
		return result;
	result = verify ? verify_files(*directory, pack) : stamp_check(*directory, pack);
	if (result != 0)
		close(*directory);
	return result;
}

static bool is_not_as_built(int error)
{
	return error == -EBADMSG || error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

int extract(const struct base *base, const struct pack *pack, int self, bool verify, int *directory)
{
	int lock = -1, result = verify ? -EBADMSG : find(base, pack, false, directory);

	if (!is_not_as_built(result))
		return result;
	result = base_lock(base, &lock);
	if (result != 0)
		return result;
	/* Somebody else may have made it while we waited. */
	result = verify ? -EBADMSG : find(base, pack, false, directory);
	if (!is_not_as_built(result))
		goto out;
	result = find(base, pack, true, directory);
	if (result == 0 && lock >= 0 && stamp_check(*directory, pack) != 0)
		result = settle(base, *directory, pack);
	else if (is_not_as_built(result))
		result = build(base, pack, self, directory);
out:
	if (lock >= 0)
		close(lock);
	return result;
}
