/*
 * Descriptors from elsewhere, such as a service manager kept through a restart: what they are, and the end of them. Nothing
 * about them is believed but what the kernel says.
 */
#include "../denim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool describe_tun(int fd, struct denim_descriptor *out)
{
	struct ifreq request = { 0 };

	/* Asked of any other kind of file, the number means something else, or nothing: only a TUN device says IFF_TUN. */
	if (ioctl(fd, TUNGETIFF, &request) < 0 || !(request.ifr_flags & IFF_TUN))
		return false;
	out->kind = DENIM_IS_TUN;
	out->multi_queue = (request.ifr_flags & IFF_MULTI_QUEUE) != 0;
	out->offload = (request.ifr_flags & IFF_VNET_HDR) != 0;
	memcpy(out->name, request.ifr_name, sizeof(out->name));
	return true;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

static void describe_socket(int fd, struct denim_descriptor *out)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = { 0 };
	socklen_t length = sizeof(address);

	if (option(fd, SO_TYPE) != SOCK_DGRAM || option(fd, SO_PROTOCOL) != IPPROTO_UDP ||
	    getsockname(fd, &address.any, &length) < 0)
		return;
	out->kind = DENIM_IS_UDP_SOCKET;
	out->family = address.any.sa_family == AF_INET ? DENIM_V4 : DENIM_V6;
	if (out->family == DENIM_V4) {
		out->port = ntohs(address.v4.sin_port);
		memcpy(out->address, &address.v4.sin_addr, 4);
	} else {
		out->port = ntohs(address.v6.sin6_port);
		memcpy(out->address, &address.v6.sin6_addr, 16);
	}
}

int32_t denim_describe(int32_t fd, struct denim_descriptor *out)
{
	memset(out, 0, sizeof(*out));
	if (fcntl(fd, F_GETFD) < 0)
		return -errno;
	if (!describe_tun(fd, out))
		describe_socket(fd, out);
	return 0;
}

int32_t denim_close_on_exec(int32_t fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0 ? -errno : 0;
}

int32_t denim_close_descriptor(int32_t fd)
{
	return close(fd) < 0 ? -errno : 0;
}
