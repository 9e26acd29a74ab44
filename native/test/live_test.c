/* The public functions against the running kernel, with nothing that needs a privilege: reading, watching, telling. */
#include "../denim.h"
#include "check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void reads_lo(void)
{
	static struct denim_link links[256];
	int32_t error = 0, count;
	struct denim_netlink *nl = denim_open(&error);

	CHECK(nl && error == 0 && denim_port(nl) != 0);
	count = denim_read_links(nl, links, 256);
	CHECK(count > 0 && links[0].index == 1 && strcmp(links[0].name, "lo") == 0);
	CHECK(denim_read_links(nl, links, 0) == count);
	denim_close(nl);
}

static void refuses_what_it_cannot_send(void)
{
	struct denim_route routes[2] = { { .head.verb = 0, .family = DENIM_V4 }, { .head.verb = DENIM_CREATE } };
	struct denim_nexthop nexthops[3] = { { .head.verb = DENIM_CREATE, .family = DENIM_V4, .gateway_family = DENIM_V4 },
					     { .head.verb = DENIM_CREATE, .id = 9, .special = DENIM_NEXTHOP_GROUP },
					     { .head.verb = DENIM_CREATE, .id = 9, .family = DENIM_V4 } };
	struct denim_link link = { .head.verb = DENIM_CREATE };
	int32_t error;
	struct denim_netlink *nl = denim_open(&error);

	CHECK(nl);
	CHECK(denim_apply_routes(nl, routes, 2) == 0);
	CHECK(routes[0].head.result == -EINVAL && routes[1].head.result == -EINVAL);
	CHECK(denim_apply_nexthops(nl, nexthops, 3) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(nexthops[i].head.result == -EINVAL);
	CHECK(denim_apply_links(nl, &link, 1) == 0 && link.head.result == -EINVAL);
	denim_close(nl);
}

static void starts_and_stops_the_monitor(void)
{
	for (int i = 0; i < 20; i++) {
		uint32_t devices[] = { 1, 2 };
		struct denim_prefix network = { .family = DENIM_V4, .length = 8, .address = { 10 } };
		struct denim_change change;
		uint32_t lost = 1;
		int32_t error;
		struct denim_monitor *monitor = denim_monitor_start(0, &error);

		CHECK(monitor && error == 0 && denim_monitor_pipe(monitor) >= 0);
		denim_monitor_watch(monitor, devices, 2, &network, 1);
		CHECK(denim_monitor_changes(monitor, &change, 1, &lost) <= 1 && lost == 0);
		denim_monitor_take(monitor);
		close(denim_monitor_pipe(monitor));
		denim_monitor_stop(monitor);
	}
}

static void locks_once(void)
{
	char name[64];
	int length = snprintf(name, sizeof(name), "denim-live-test-%d", (int)getpid());
	int32_t held = denim_lock(name, (uint32_t)length);

	CHECK(held >= 0 && denim_lock(name, (uint32_t)length) == -EADDRINUSE);
	denim_unlock(held);
	held = denim_lock(name, (uint32_t)length);
	CHECK(held >= 0);
	denim_unlock(held);
	CHECK(denim_lock(name, 0) == -EINVAL && denim_lock(name, 108) == -EINVAL);
}

static void notifies_an_abstract_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64], got[32];
	int length = snprintf(name, sizeof(name), "@denim-live-notify-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(denim_notify(name, (uint32_t)length, "READY=1", 7, NULL, 0) == -ECONNREFUSED);
	memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
	CHECK(bind(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(address.sun_family) + (size_t)length)) == 0);
	CHECK(denim_notify(name, (uint32_t)length, "READY=1", 7, NULL, 0) == 0);
	CHECK(recv(fd, got, sizeof(got), 0) == 7 && memcmp(got, "READY=1", 7) == 0);
	CHECK(denim_notify("relative", 8, "", 0, NULL, 0) == -EINVAL);
	close(fd);
}

int main(void)
{
	CHECK(denim_abi_version() == DENIM_ABI_VERSION && denim_layout(NULL, 0) > 0 && denim_boot_time() > 0);
	RUN(reads_lo);
	RUN(refuses_what_it_cannot_send);
	RUN(starts_and_stops_the_monitor);
	RUN(locks_once);
	RUN(notifies_an_abstract_socket);
	return 0;
}
