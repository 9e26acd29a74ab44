/*
 * What the service manager's side says: the address and text of a notification, the name of a lock, and numbers of descriptors
 * that are to be looked at. Nothing of it may reach another file than it names, nor read beyond its own length.
 *
 * Sockets are made and bound for real, in the abstract space of the caller's network namespace, and closed again.
 */
#include "../denim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

/* A heap block of its own size. */
static char *copy(const uint8_t *bytes, size_t length)
{
	char *out = malloc(length + !length);

	if (out && length > 0)
		memcpy(out, bytes, length);
	return out;
}

static void notify(const uint8_t *bytes, size_t length)
{
	size_t split = length > 0 && bytes[0] < length ? bytes[0] : 0;
	char *address = copy(bytes, split), *message = copy(bytes + split, length - split);
	int32_t fds[DENIM_NOTIFY_FDS + 2];
	uint32_t count = (uint32_t)(length % (DENIM_NOTIFY_FDS + 2));

	for (uint32_t i = 0; i < count; i++)
		fds[i] = i % 3 == 0 ? STDERR_FILENO : (int32_t)(length * i);
	/* No path: the file system is not the fuzzer's to write to. */
	if (address && message && (split == 0 || address[0] != '/') &&
	    denim_notify(address, (uint32_t)split, message, (uint32_t)(length - split), fds, count) > 0)
		abort();
	free(address);
	free(message);
}

static void hold(const uint8_t *bytes, size_t length)
{
	char *name = copy(bytes, length);
	int32_t held = name ? denim_lock(name, (uint32_t)length) : -ENOMEM;

	if (held >= 0) {
		if (length == 0 || length > 107 || denim_lock(name, (uint32_t)length) != -EADDRINUSE)
			abort();
		denim_unlock(held);
	}
	free(name);
}

static void describe(const uint8_t *bytes, size_t length)
{
	struct denim_descriptor out;
	int32_t fd = -1;

	memcpy(&fd, bytes, length < sizeof(fd) ? length : sizeof(fd));
	if (denim_describe(fd, &out) > 0 || memchr(out.name, 0, sizeof(out.name)) == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	static void (*const targets[])(const uint8_t *, size_t) = { notify, hold, describe };

	if (length > 0)
		targets[input[0] % 3](input + 1, length - 1);
	return 0;
}
