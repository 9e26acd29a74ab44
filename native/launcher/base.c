/*
 * Where extractions go: DENIM_EXTRACT_DIR and nothing else where that is set; otherwise the service manager's STATE_DIRECTORY,
 * /var/lib/flannel, and the caller's own cache directory, the first of them that can be used. The usual places are on a disk:
 * a hundred megabytes are not put into memory unless somebody asks for it.
 */
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 3000, LOCK_PAUSE_NS = 20 * 1000 * 1000 };

/* Adds `directory`, up to its first colon, with `below` behind it; nothing where it isn't an absolute path that fits. */
static void add(struct bases *bases, const char *directory, const char *below)
{
	char *to = bases->paths[bases->count];
	int length;

	if (!directory || directory[0] != '/')
		return;
	length = snprintf(to, PATH_MAX, "%.*s%s", (int)strcspn(directory, ":"), directory, below);
	if (length > 0 && length < PATH_MAX)
		bases->count++;
}

void bases_list(struct bases *bases)
{
	const char *given = getenv("DENIM_EXTRACT_DIR");

	bases->count = 0;
	bases->usual = !given || !*given;
	if (!bases->usual) {
		snprintf(bases->paths[0], PATH_MAX, "%s", given);
		bases->count = 1;
		return;
	}
	add(bases, getenv("STATE_DIRECTORY"), "");
	add(bases, "/var/lib/flannel", "");
	add(bases, getenv("HOME"), "/.cache/flanneld");
}

static bool is_in_memory(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}

static bool is_noexec(int fd)
{
	struct statvfs s;

	return fstatvfs(fd, &s) == 0 && (s.f_flag & ST_NOEXEC) != 0;
}

static bool anybody_writes(const struct stat *s)
{
	return (s->st_mode & S_IWOTH) != 0 && (s->st_mode & S_ISVTX) == 0;
}

/* Whether its entries are safe from others. UNKNOWN is whom a user namespace shows for those it does not know, root among them. */
static bool is_trusted(const char *path)
{
	enum { UNKNOWN = 65534 };
	struct stat s;

	if (stat(path, &s) != 0 || anybody_writes(&s))
		return false;
	return s.st_uid == geteuid() || s.st_uid == 0 || s.st_uid == UNKNOWN;
}

/* The same for every directory on the way to an absolute path: who can write to one of them can put another in our place. */
static bool is_trusted_way(const char *path)
{
	char part[PATH_MAX];
	bool trusted = is_trusted("/");

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash && trusted; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		trusted = is_trusted(part);
		*slash = '/';
	}
	return trusted && is_trusted(part);
}

/* Once base->path is known. */
static bool is_exposed(const struct base *base, bool usual)
{
	struct stat s;

	return fstat(base->fd, &s) != 0 || anybody_writes(&s) || (usual && !is_trusted_way(base->path));
}

int base_open(struct base *base, const char *path, bool usual)
{
	int result = 0;

	base->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base->fd < 0 && errno == ENOENT) {
		result = tree_make(path);
		if (result != 0)
			return result;
		base->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (base->fd < 0)
		return -errno;
	if (is_noexec(base->fd))
		result = -ENOEXEC;
	else if (usual && is_in_memory(base->fd))
		result = -EMEDIUMTYPE;
	else if (!realpath(path, base->path))
		result = -errno;
	else if (is_exposed(base, usual))
		result = -ENOTUNIQ;
	if (result != 0)
		close(base->fd);
	return result;
}

/* On a file that only this user can open: a lock on the directory could be held by anybody. */
int base_lock(const struct base *base, int *lock)
{
	const struct timespec moment = { .tv_nsec = LOCK_PAUSE_NS };
	char name[32];
	int fd, result = -EBUSY;

	snprintf(name, sizeof(name), ".lock.%u", (unsigned)geteuid());
	fd = openat(base->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	*lock = fd;
	if (fd < 0)
		return errno == EROFS || errno == EACCES ? 0 : -errno;
	for (unsigned i = 0; i < LOCK_TRIES && result == -EBUSY; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			result = -errno;
		else
			nanosleep(&moment, NULL);
	}
	close(fd);
	return result;
}

/* <version>-<16 hexadecimal digits>.new or .old, as extract.c names what isn't in its place. */
static bool is_leftover(const char *name)
{
	size_t length = strlen(name);

	if (length < 22 || (strcmp(name + length - 4, ".new") != 0 && strcmp(name + length - 4, ".old") != 0))
		return false;
	return name[length - 21] == '-' && strspn(name + length - 20, "0123456789abcdef") == 16;
}

void base_sweep(const struct base *base)
{
	int fd = openat(base->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(list)) != NULL)
		if (is_leftover(entry->d_name))
			tree_remove(base->fd, entry->d_name);
	closedir(list);
}

bool base_is_unusable(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
	case EROFS:
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case ENOEXEC:
	case EMEDIUMTYPE:
	case ENOTUNIQ:
		return true;
	default:
		return false;
	}
}
