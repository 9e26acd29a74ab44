/* Making and removing directories, on a file system that others may be changing: never through a symbolic link when removing. */
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int tree_make(const char *path)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(part, 0755) != 0 && errno != EEXIST ? -errno : 0;
}

static int remove_entries(DIR *directory)
{
	struct dirent *entry;
	int result = 0;

	while (result == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) == 0)
			continue;
		result = errno == EISDIR || errno == EPERM ? tree_remove(dirfd(directory), entry->d_name) : -errno;
	}
	return result != 0 ? result : -errno;
}

int tree_remove(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), result;
	DIR *directory;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	directory = fdopendir(fd);
	if (!directory) {
		result = -errno;
		close(fd);
		return result;
	}
	result = remove_entries(directory);
	closedir(directory);
	if (result == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0)
		result = -errno;
	return result;
}
