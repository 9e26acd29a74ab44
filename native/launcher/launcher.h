/*
 * The launcher in front of the archive that makes dist/flanneld: it extracts Deno, the modules and the C library once, and
 * becomes Deno on every start.
 *
 * What is extracted lies in a directory of its own, <base>/<pack.name>, which belongs to the caller and is closed to others. It
 * appears under that name only when it is whole and on the disk. A stamp in it records how each file looked then (inode, times,
 * size, owner, mode); where that still holds nothing is read again, elsewhere every file is hashed, and what is not as built is
 * extracted anew. Whoever writes below a base holds a lock on it.
 *
 * Functions return 0 or a negative errno; `complain` is the only one that talks.
 */
#ifndef DENIM_LAUNCHER_H
#define DENIM_LAUNCHER_H

#include "pack.h"

#include <limits.h>
#include <sys/stat.h>

/* A directory that holds extractions. */
struct base {
	int fd;
	char path[PATH_MAX]; /* absolute */
};

/* complain.c: writes "flanneld: " and the text to standard error. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* -- archive.c: the archive in a file */

/* Reads and checks trailer and index. -EBADMSG: none of ours, or damaged. */
int archive_open(int fd, struct pack *pack);
/* Hashes `size` bytes of `fd` from `offset` on; what is read also goes to `copy`, unless that is -1. -EBADMSG: too short. */
int archive_hash(int fd, uint64_t offset, uint64_t size, int copy, uint8_t digest[SHA256_SIZE]);

/* -- stamp.c: how the files of an extraction looked when they were last known to be right */

/* Whether it is a file of the caller's, with the mode and size that it has to have; its contents are another matter. */
bool file_fits(int directory, const struct pack_file *file, struct stat *status);
/* -EBADMSG where the stamp doesn't hold, or a file is not as it has to be. */
int stamp_check(int directory, const struct pack *pack);
int stamp_write(int directory, const struct pack *pack);

/* -- base.c: where extractions go */

enum { BASES_MAX = 3 };

struct bases {
	unsigned count;
	bool usual; /* nobody named them */
	char paths[BASES_MAX][PATH_MAX];
};

void bases_list(struct bases *bases);
/*
 * Opens a base, and makes it where it isn't there. -ENOEXEC: programs can't run from there. -ENOTUNIQ: others can write there.
 * @usual: nobody has asked for this place, so refuse it in memory (-EMEDIUMTYPE), and where others could replace it.
 */
int base_open(struct base *base, const char *path, bool usual);
/* Takes the base for writing until *lock is closed; -1 where nothing can be written there. -EBUSY after a minute. */
int base_lock(const struct base *base, int *lock);
/* Under the lock: takes away what starts of any version have left that were killed. */
void base_sweep(const struct base *base);
/* Whether this error is about the place, so that another may do. */
bool base_is_unusable(int error);

/* -- tree.c: directories */

int tree_make(const char *path);
/* Removes the directory `name` and all in it; it is fine if there is none. */
int tree_remove(int parent, const char *name);

/* -- extract.c */

/* Sets *directory to the extraction in `base`, made or mended where needed. @verify: hash every file in any case. */
int extract(const struct base *base, const struct pack *pack, int self, bool verify, int *directory);

/* -- start.c: becoming Deno */

/* Whether the program in `directory` runs on this system at all. -ECANCELED: it doesn't, and a complaint has said so. */
int start_trial(int directory, const struct pack *pack);
/*
 * Has Deno read all modules once, so that what it notes of them is in its cache directory: reading them leaves 30 MB in a process,
 * which a daemon would keep. Nothing depends on it.
 */
void start_warm(int directory, const char *path);
/* Replaces this process. Returns only where that fails, with a negative errno. @self_path: NULL where it isn't known. */
int start(int directory, const char *path, const char *self_path, char **argv);

#endif
