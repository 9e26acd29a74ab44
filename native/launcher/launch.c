/*
 * The launcher's main: finds the archive in its own file, has it extracted and becomes Deno. `--verify` as the only word checks
 * everything instead. Ends with code 1 and one line where it can't.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* Everything that a start knows, once. */
struct launch {
	int self, directory;
	bool verify;
	char self_path[PATH_MAX]; /* empty where it isn't known */
	char path[2 * PATH_MAX];  /* of the extraction */
	struct pack pack;
	struct bases bases;
	struct base base;
};

static const char *describe(int error)
{
	switch (-error) {
	case ENOEXEC:
		return "programs can't be run from there (it is mounted noexec)";
	case EMEDIUMTYPE:
		return "it is in memory (tmpfs)";
	case ENOTUNIQ:
		return "others can write there";
	case EBUSY:
		return "another start has been extracting for a minute";
	case ESTALE:
		return "the file is damaged: a part has not the hash that it was built with; install it again";
	default:
		return strerror(-error);
	}
}

/* /proc knows this file even when it was renamed or removed; without /proc there is the name that was executed. */
static int open_self(struct launch *launch)
{
	const char *executed = (const char *)getauxval(AT_EXECFN);
	ssize_t length = readlink("/proc/self/exe", launch->self_path, sizeof(launch->self_path) - 1);
	int result;

	launch->self_path[length < 0 ? 0 : length] = '\0';
	launch->self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (launch->self < 0 && executed)
		launch->self = open(executed, O_RDONLY | O_CLOEXEC);
	result = launch->self < 0 ? -errno : archive_open(launch->self, &launch->pack);
	if (launch->self_path[0] != '\0' && access(launch->self_path, X_OK) != 0)
		launch->self_path[0] = '\0';
	if (result == -EBADMSG)
		complain("read \"%s\": the file is damaged or cut off; install it again", executed ? executed : PACK_PROGRAM);
	else if (result != 0)
		complain("read \"%s\": %s", executed ? executed : PACK_PROGRAM, strerror(-result));
	return result;
}

static int try_base(struct launch *launch, const char *path)
{
	int result = base_open(&launch->base, path, launch->bases.usual);

	if (result != 0)
		return result;
	result = extract(&launch->base, &launch->pack, launch->self, launch->verify, &launch->directory);
	snprintf(launch->path, sizeof(launch->path), "%s/%s", launch->base.path, launch->pack.name);
	close(launch->base.fd);
	return result;
}

static void complain_of_size(const struct launch *launch, const char *path, int error)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < launch->pack.count; i++)
		size += launch->pack.files[i].size;
	complain("extract to \"%s\": %s; it takes %llu MB: make room, or name another directory in DENIM_EXTRACT_DIR", path,
		 strerror(-error), (unsigned long long)(size / 1000000 + 1));
}

/* Tries the bases in turn. Where none will do, one line says why for each. */
static int find_extraction(struct launch *launch)
{
	char reasons[1024] = "";
	size_t length = 0;
	int result = -ENOENT;

	for (unsigned i = 0; i < launch->bases.count; i++) {
		const char *path = launch->bases.paths[i];

		result = try_base(launch, path);
		if (result == 0)
			return 0;
		if (result == -ENOSPC || result == -EDQUOT) {
			complain_of_size(launch, path, result);
			return result;
		}
		if (!base_is_unusable(result)) {
			if (result != -ECANCELED)
				complain("extract to \"%s\": %s", path, describe(result));
			return result;
		}
		if (length < sizeof(reasons))
			length += (size_t)snprintf(reasons + length, sizeof(reasons) - length, "%s\"%s\": %s", i > 0 ? ", " : "",
						   path, describe(result));
	}
	complain("extract the program: %s; name a directory on a disk in DENIM_EXTRACT_DIR", reasons);
	return result;
}

/* The archive in this file, as the extraction was checked by then. */
static int verify_self(const struct launch *launch)
{
	uint8_t digest[SHA256_SIZE];

	for (uint32_t i = 0; i < launch->pack.count; i++) {
		const struct pack_file *file = &launch->pack.files[i];
		int result = archive_hash(launch->self, file->offset, file->size, -1, digest);

		if (result == 0 && memcmp(digest, file->hash, SHA256_SIZE) != 0)
			result = -ESTALE;
		if (result != 0) {
			complain("verify \"%s\": %s", file->name, describe(result));
			return result;
		}
	}
	printf("%s: %u files in \"%s\" are as built\n", launch->pack.name, launch->pack.count, launch->path);
	return 0;
}

int main(int argc, char **argv)
{
	static struct launch launch;
	/* What is written has its own modes; but the owner's bits are needed on the way. */
	mode_t mask = umask(0);
	int result;

	umask(mask & ~(mode_t)S_IRWXU);
	launch.verify = argc == 2 && strcmp(argv[1], "--verify") == 0;
	if (open_self(&launch) != 0)
		return 1;
	bases_list(&launch.bases);
	if (find_extraction(&launch) != 0)
		return 1;
	if (launch.verify)
		return verify_self(&launch) == 0 ? 0 : 1;
	umask(mask);
	result = start(launch.directory, launch.path, launch.self_path[0] ? launch.self_path : NULL, argv);
	complain("start \"%s/%s\": %s; it needs %s", launch.path, PACK_PROGRAM, strerror(-result), launch.pack.needs);
	return 1;
}
