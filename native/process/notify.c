/* sd_notify(3) without libsystemd: one datagram, with descriptors where there are any. */
#include "../denim.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union fds_control {
	struct cmsghdr header;
	uint8_t bytes[CMSG_SPACE(DENIM_NOTIFY_FDS * sizeof(int32_t))];
};

static void attach(struct msghdr *head, union fds_control *control, const int32_t *fds, uint32_t count)
{
	if (count == 0)
		return;
	memset(control, 0, sizeof(*control));
	control->header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(count * sizeof(*fds)),
	};
	memcpy(CMSG_DATA(&control->header), fds, count * sizeof(*fds));
	head->msg_control = control;
	head->msg_controllen = CMSG_SPACE(count * sizeof(*fds));
}

int32_t denim_notify(const char *address, uint32_t address_length, const char *message, uint32_t message_length,
		     const int32_t *fds, uint32_t fd_count)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct iovec part = { (void *)(uintptr_t)message, message_length };
	struct msghdr head = { .msg_name = &to, .msg_iov = &part, .msg_iovlen = 1 };
	union fds_control control;
	int fd = -1, result = 0;

	if (address_length < 2 || address_length >= sizeof(to.sun_path) || (address[0] != '/' && address[0] != '@'))
		return -EINVAL;
	if (fd_count > DENIM_NOTIFY_FDS)
		return -E2BIG;
	memcpy(to.sun_path, address, address_length);
	if (address[0] == '@')
		to.sun_path[0] = 0;
	head.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + address_length);
	attach(&head, &control, fds, fd_count);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		result = -errno;
		goto out;
	}
	if (sendmsg(fd, &head, MSG_NOSIGNAL) < 0)
		result = -errno;
out:
	if (fd >= 0)
		close(fd);
	return result;
}
