/* sd_notify(3) without libsystemd: one datagram. */
#include "denim.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int32_t denim_notify(const char *address, uint32_t address_length, const char *message, uint32_t message_length)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + address_length);
	int fd = -1, result = 0;

	if (address_length < 2 || address_length >= sizeof(to.sun_path) || (address[0] != '/' && address[0] != '@'))
		return -EINVAL;
	memcpy(to.sun_path, address, address_length);
	if (address[0] == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		result = -errno;
		goto out;
	}
	if (sendto(fd, message, message_length, MSG_NOSIGNAL, (struct sockaddr *)&to, length) < 0)
		result = -errno;
out:
	if (fd >= 0)
		close(fd);
	return result;
}
