/*
 * Kernel events, gathered.
 *
 * One thread reads the multicast groups, ORs what it saw into a mask and writes one byte to a pipe when the mask leaves
 * zero; the reader empties the mask with denim_monitor_take. So a storm of events costs one byte, and no event is ever
 * between the two: it is in the mask before the byte is written. The thread masks all signals, touches memory of this
 * file only, and ends when the eventfd is written. Sockets are opened by the caller's thread: they watch its namespace.
 *
 * What changed waits in a ring (changes.c). Whoever takes it reads the socket himself first, in his own thread: the kernel
 * queues events before it answers who made them, so nothing of what has happened by then is missing. A datagram is received
 * and taken in under one lock, so the order is the kernel's whoever reads.
 */
#include "nl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * READ_MAX: datagrams read at a stretch, more than the buffer can hold: what is queued is read, and a storm that goes on and
 * on holds nobody up for ever.
 */
enum { EVENT_BUFFER = 8 * 1024 * 1024, READ_MAX = 64 * 1024 };

struct denim_monitor {
	pthread_t thread;
	int route_fd, nft_fd, stop_fd, read_fd, write_fd;
	uint32_t own_port;
	_Atomic uint32_t mask;
	pthread_mutex_t lock; /* guards everything below */
	struct watched watched;
	struct changes changes;
	bool overrun; /* the socket's buffer was full and has not been empty since */
	_Alignas(8) uint8_t receive[NL_RECEIVE_SIZE];
};

static uint32_t neighbour_event(const struct nlmsghdr *message, const struct watched *watched)
{
	const struct ndmsg *header = nl_header(message, sizeof(*header));

	if (!header || !watches_device(watched, (uint32_t)header->ndm_ifindex))
		return 0;
	return header->ndm_family == AF_BRIDGE ? DENIM_EVENT_FDB : DENIM_EVENT_NEIGHBOUR;
}

static uint32_t event_of(const struct nlmsghdr *message, const struct watched *watched)
{
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return DENIM_EVENT_LINK;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return DENIM_EVENT_ADDRESS;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return DENIM_EVENT_ROUTE;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return DENIM_EVENT_NEXTHOP;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return neighbour_event(message, watched);
	default:
		return 0;
	}
}

uint32_t monitor_events(const uint8_t *bytes, size_t length, uint32_t own_port, const struct watched *watched,
			struct changes *changes)
{
	struct denim_change change;
	uint32_t events = 0;
	size_t rest;

	for (const struct nlmsghdr *m = nl_first(bytes, length, &rest); m; m = nl_next(m, &rest)) {
		uint32_t event = own_port == 0 || m->nlmsg_pid != own_port ? event_of(m, watched) : 0;

		if (change_parse(m, own_port, watched, &change))
			changes_push(changes, &change);
		else if (event == DENIM_EVENT_ROUTE)
			event |= DENIM_EVENT_ELSEWHERE;
		events |= event;
	}
	return events;
}

static void tell(struct denim_monitor *monitor, uint32_t events)
{
	if (events != 0 && atomic_fetch_or(&monitor->mask, events) == 0) {
		/* The pipe is never full: at most one byte per take is under way. A closed reader is no news to us. */
		ssize_t written = write(monitor->write_fd, "!", 1);
		(void)written;
	}
}

/*
 * Everything that is queued on the route socket, with the lock held. False where the socket is of no more use.
 *
 * Once its buffer was full the kernel drops in silence until it has been empty: what is lost is told when that is over, and
 * as long as it is not, each time.
 */
static bool read_routes(struct denim_monitor *monitor, uint32_t *events)
{
	bool alive = true, overrun = monitor->overrun;
	ssize_t length;

	for (uint32_t i = 0; alive && i < READ_MAX; i++) {
		length = recv(monitor->route_fd, monitor->receive, sizeof(monitor->receive), MSG_DONTWAIT);
		if (length > 0) {
			*events |= monitor_events(monitor->receive, (size_t)length, monitor->own_port,
						  &monitor->watched, &monitor->changes);
		} else if (length < 0 && errno == ENOBUFS) {
			monitor->overrun = overrun = true;
		} else if (length < 0 && errno == EAGAIN) {
			monitor->overrun = false;
			break;
		} else {
			alive = length < 0 && errno == EINTR;
		}
	}
	if (overrun || !alive) {
		monitor->changes.lost = true;
		*events |= DENIM_EVENT_LOST;
	}
	return alive;
}

/* Of nftables nobody wants to know more than that something has changed. */
static bool read_nftables(struct denim_monitor *monitor, uint32_t *events)
{
	uint8_t byte;
	ssize_t length;

	while ((length = recv(monitor->nft_fd, &byte, sizeof(byte), MSG_DONTWAIT)) > 0)
		*events |= DENIM_EVENT_NFTABLES;
	if (length < 0 && errno == ENOBUFS)
		*events |= DENIM_EVENT_LOST;
	return length < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS);
}

/* Everything that is queued on one socket. False where the socket is of no more use. */
static bool read_events(struct denim_monitor *monitor, int fd)
{
	uint32_t events = 0;
	bool alive;

	if (fd == monitor->nft_fd) {
		alive = read_nftables(monitor, &events);
	} else {
		pthread_mutex_lock(&monitor->lock);
		alive = read_routes(monitor, &events);
		pthread_mutex_unlock(&monitor->lock);
	}
	tell(monitor, events);
	return alive;
}

static void *run(void *argument)
{
	struct denim_monitor *monitor = argument;
	struct pollfd fds[] = {
		{ .fd = monitor->stop_fd, .events = POLLIN },
		{ .fd = monitor->route_fd, .events = POLLIN },
		{ .fd = monitor->nft_fd, .events = POLLIN }, /* poll passes over a negative descriptor */
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		for (int i = 1; i < 3; i++) {
			if (fds[i].revents && !read_events(monitor, fds[i].fd)) {
				tell(monitor, DENIM_EVENT_LOST);
				fds[i].fd = -1;
			}
		}
	}
	return NULL;
}

static int subscribe(int protocol, const int *groups, size_t count)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int size = EVENT_BUFFER, result = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		result = -errno;
		goto out;
	}
	for (size_t i = 0; i < count; i++) {
		/* Kernels without nexthop objects have no such group. */
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0 &&
		    groups[i] != RTNLGRP_NEXTHOP) {
			result = -errno;
			goto out;
		}
	}
out:
	if (result < 0)
		close(fd);
	return result < 0 ? result : fd;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void destroy(struct denim_monitor *monitor)
{
	close_if_open(monitor->route_fd);
	close_if_open(monitor->nft_fd);
	close_if_open(monitor->stop_fd);
	close_if_open(monitor->write_fd);
	pthread_mutex_destroy(&monitor->lock);
	free(monitor->changes.ring);
	free(monitor);
}

static int open_all(struct denim_monitor *monitor)
{
	static const int route_groups[] = { RTNLGRP_LINK,	 RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
					    RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_NEIGH,
					    RTNLGRP_NEXTHOP };
	static const int nft_groups[] = { NFNLGRP_NFTABLES };
	int ends[2];

	/* Pages that no change has reached yet cost nothing. */
	monitor->changes.ring = calloc(DENIM_CHANGES, sizeof(struct denim_change));
	if (!monitor->changes.ring)
		return -ENOMEM;
	monitor->route_fd = subscribe(NETLINK_ROUTE, route_groups, sizeof(route_groups) / sizeof(route_groups[0]));
	if (monitor->route_fd < 0)
		return monitor->route_fd;
	monitor->nft_fd = subscribe(NETLINK_NETFILTER, nft_groups, 1);
	monitor->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (monitor->stop_fd < 0)
		return -errno;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	monitor->read_fd = ends[0];
	monitor->write_fd = ends[1];
	return 0;
}

static int start_thread(struct denim_monitor *monitor)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = -pthread_create(&monitor->thread, NULL, run, monitor);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0)
		pthread_setname_np(monitor->thread, "denim-monitor");
	return result;
}

struct denim_monitor *denim_monitor_start(uint32_t own_port, int32_t *error)
{
	struct denim_monitor *monitor = calloc(1, sizeof(*monitor));
	int result = -ENOMEM;

	if (!monitor)
		goto out;
	monitor->own_port = own_port;
	watch_everything(&monitor->watched);
	monitor->route_fd = monitor->nft_fd = monitor->stop_fd = monitor->read_fd = monitor->write_fd = -1;
	pthread_mutex_init(&monitor->lock, NULL);
	result = open_all(monitor);
	if (result == 0)
		result = start_thread(monitor);
	if (result < 0) {
		close_if_open(monitor->read_fd);
		destroy(monitor);
		monitor = NULL;
	}
out:
	*error = result;
	return monitor;
}

int32_t denim_monitor_pipe(const struct denim_monitor *monitor)
{
	return monitor->read_fd;
}

uint32_t denim_monitor_take(struct denim_monitor *monitor)
{
	return atomic_exchange(&monitor->mask, 0);
}

int32_t denim_monitor_changes(struct denim_monitor *monitor, struct denim_change *out, uint32_t capacity, uint32_t *lost)
{
	uint32_t events = 0, count;

	pthread_mutex_lock(&monitor->lock);
	read_routes(monitor, &events);
	count = changes_pull(&monitor->changes, out, capacity);
	*lost = monitor->changes.lost;
	monitor->changes.lost = false;
	pthread_mutex_unlock(&monitor->lock);
	tell(monitor, events);
	return (int32_t)count;
}

void denim_monitor_watch(struct denim_monitor *monitor, const uint32_t *indexes, uint32_t index_count,
			 const struct denim_prefix *networks, uint32_t network_count)
{
	pthread_mutex_lock(&monitor->lock);
	watch_only(&monitor->watched, indexes, index_count, networks, network_count);
	pthread_mutex_unlock(&monitor->lock);
}

void denim_monitor_stop(struct denim_monitor *monitor)
{
	uint64_t one = 1;
	ssize_t written = write(monitor->stop_fd, &one, sizeof(one));

	(void)written;
	pthread_join(monitor->thread, NULL);
	destroy(monitor);
}
