/* What a daemon needs of its process and Deno does not offer: the boot clock, an ignored signal, a lock. */
#include "../denim.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t denim_boot_time(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Stays mapped for good: the library is linked with -z nodelete. */
static void nothing(int signal)
{
	(void)signal;
}

/* A handler and not SIG_IGN, which child processes would inherit: a shell cannot trap a signal that was ignored before it. */
int32_t denim_ignore_inspector_signal(void)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };

	return sigaction(SIGUSR1, &action, NULL) < 0 ? -errno : 0;
}

int32_t denim_lock(const char *name, uint32_t name_length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name_length);
	int fd, result;

	if (name_length == 0 || name_length >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path + 1, name, name_length);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	result = bind(fd, (struct sockaddr *)&address, length) < 0 ? -errno : fd;
	if (result < 0)
		close(fd);
	return result;
}

void denim_unlock(int32_t descriptor)
{
	close(descriptor);
}
