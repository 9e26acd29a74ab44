/* Descriptors go to the service manager beside a message; those that come back are what the kernel says they are. */
#include "../denim.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + strlen(name))) == 0);
	return fd;
}

/* Returns how many descriptors came. */
static uint32_t receive(int fd, char *text, size_t room, int *fds)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[1024];
	} control;
	struct iovec part = { text, room };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t length = recvmsg(fd, &head, MSG_CMSG_CLOEXEC);
	struct cmsghdr *first = CMSG_FIRSTHDR(&head);

	CHECK(length > 0 && (size_t)length < room);
	text[length] = 0;
	if (!first)
		return 0;
	CHECK(first->cmsg_type == SCM_RIGHTS && !(head.msg_flags & MSG_CTRUNC));
	memcpy(fds, CMSG_DATA(first), first->cmsg_len - CMSG_LEN(0));
	return (uint32_t)((first->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static void hands_descriptors_over(void)
{
	static const char name[] = "@denim-descriptor-test", message[] = "FDSTORE=1\nFDNAME=udp";
	int fd = manager(name), fds[DENIM_NOTIFY_FDS + 1], got[DENIM_NOTIFY_FDS];
	struct denim_descriptor described;
	char text[64];

	for (size_t i = 0; i < DENIM_NOTIFY_FDS + 1; i++)
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (uint32_t count = 0; count <= DENIM_NOTIFY_FDS; count += 16) {
		CHECK(denim_notify(name, sizeof(name) - 1, message, sizeof(message) - 1, fds, count) == 0);
		CHECK(receive(fd, text, sizeof(text), got) == count && strcmp(text, message) == 0);
		for (uint32_t i = 0; i < count; i++) {
			CHECK(denim_describe(got[i], &described) == 0 && described.kind == DENIM_IS_UDP_SOCKET);
			CHECK(denim_close_descriptor(got[i]) == 0);
		}
	}
	CHECK(denim_notify(name, sizeof(name) - 1, message, 2, fds, DENIM_NOTIFY_FDS + 1) == -E2BIG);
	for (size_t i = 0; i < DENIM_NOTIFY_FDS + 1; i++)
		CHECK(denim_close_descriptor(fds[i]) == 0);
	/* The lowest free number becomes the socket of the call itself. */
	CHECK(denim_notify(name, sizeof(name) - 1, message, sizeof(message) - 1, fds + 1, 1) == -EBADF);
	close(fd);
}

static void describes_sockets(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	struct denim_descriptor out;
	socklen_t length = sizeof(v4);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(denim_describe(fd, &out) == 0 && out.kind == DENIM_IS_UDP_SOCKET && out.family == DENIM_V4 && out.port == 0);
	CHECK(bind(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0 && getsockname(fd, (struct sockaddr *)&v4, &length) == 0);
	CHECK(denim_describe(fd, &out) == 0 && out.port == ntohs(v4.sin_port) && out.address[0] == 127 && out.address[3] == 1);
	close(fd);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&v6, sizeof(v6)) == 0)
		CHECK(denim_describe(fd, &out) == 0 && out.family == DENIM_V6 && out.port != 0 && out.address[15] == 0);
	close(fd);
}

static void knows_what_is_neither(void)
{
	struct denim_descriptor out;
	const int others[] = { open("/dev/null", O_RDWR | O_CLOEXEC), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			       socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), open("/dev/net/tun", O_RDWR | O_CLOEXEC) };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		CHECK(others[i] < 0 || (denim_describe(others[i], &out) == 0 && out.kind == DENIM_IS_OTHER));
		close(others[i]);
	}
	CHECK(denim_describe(others[0], &out) == -EBADF && out.kind == DENIM_IS_OTHER);
}

static void keeps_descriptors_from_other_programs(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC));
	CHECK(denim_close_on_exec(fd) == 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK(denim_close_descriptor(fd) == 0 && denim_close_descriptor(fd) == -EBADF && denim_close_on_exec(fd) == -EBADF);
}

int main(void)
{
	RUN(hands_descriptors_over);
	RUN(describes_sockets);
	RUN(knows_what_is_neither);
	RUN(keeps_descriptors_from_other_programs);
	return 0;
}
