/* The rtnetlink socket: its options, sending, receiving. */
#include "nl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	WANTED_BUFFER = 8 * 1024 * 1024,
	ANSWER_COST = 4096, /* what one queued answer takes of the buffer, generously: an skb of its own */
	ANSWER_SECONDS = 10, /* the kernel answers at once; this only keeps a bug from hanging us */
};

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static uint32_t receive_buffer(int fd)
{
	int size = 0;
	socklen_t length = sizeof(size);

	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, WANTED_BUFFER) < 0)
		set(fd, SOL_SOCKET, SO_RCVBUF, WANTED_BUFFER);
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &length);
	return (uint32_t)size;
}

/* Options that old kernels lack are done without: replies are then longer, and filtered here instead of there. */
static int prepare(struct denim_netlink *nl)
{
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	socklen_t length = sizeof(address);
	uint32_t answers = receive_buffer(nl->fd) / ANSWER_COST;

	nl->batch_max = answers > 0 ? answers : 1;
	set(nl->fd, SOL_SOCKET, SO_SNDBUF, 2 * NL_SEND_SIZE);
	set(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
	set(nl->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	if (setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (bind(nl->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (getsockname(nl->fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	nl->port = address.nl_pid;
	nl->sequence = 1; /* 0 marks what nobody asked for */
	address.nl_pid = 0; /* the kernel */
	return connect(nl->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

struct denim_netlink *denim_open(int32_t *error)
{
	struct denim_netlink *nl = calloc(1, sizeof(*nl));
	int result = -ENOMEM;

	if (!nl)
		goto out;
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	result = nl->fd < 0 ? -errno : prepare(nl);
	if (result < 0) {
		denim_close(nl);
		nl = NULL;
	}
out:
	*error = result;
	return nl;
}

void denim_close(struct denim_netlink *nl)
{
	if (nl && nl->fd >= 0)
		close(nl->fd);
	free(nl);
}

uint32_t denim_port(const struct denim_netlink *nl)
{
	return nl->port;
}

int nl_send(struct denim_netlink *nl, size_t length)
{
	ssize_t sent;

	do {
		sent = send(nl->fd, nl->send, length, 0);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Datagrams that other processes sent to our port are passed over. */
ptrdiff_t nl_receive(struct denim_netlink *nl, int flags)
{
	struct sockaddr_nl from = { 0 };
	ssize_t length;

	do {
		socklen_t from_length = sizeof(from);

		length = recvfrom(nl->fd, nl->receive, sizeof(nl->receive), flags | MSG_TRUNC, (struct sockaddr *)&from,
				  &from_length);
	} while ((length < 0 && errno == EINTR) || (length >= 0 && from.nl_pid != 0));
	if (length < 0)
		return -errno;
	return (size_t)length > sizeof(nl->receive) ? -EMSGSIZE : length;
}
