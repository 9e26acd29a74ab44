/*
 * A whole tunnel with its threads, in a network namespace of this process: peers change while packets flow both ways. Without the
 * right to make a namespace or a device only the refusals are tested, and that is said.
 */
#include "../udp/udp.h"
#include "packets.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PORT = 8285, ROUNDS = 2000, PEERS = 300 };

static struct denim_udp_settings settings_of(uint32_t queues)
{
	struct denim_udp_settings settings = { .queues = queues, .sources = 4, .port = PORT, .bind_v4 = 1, .name = "tnl%d" };

	for (int i = 0; i < DENIM_UDP_QUEUES; i++)
		settings.tun[i] = settings.socket_v4[i] = settings.socket_v6[i] = -1;
	return settings;
}

static void refuses_settings_that_make_no_sense(void)
{
	struct denim_udp_settings settings[4];
	int32_t error[2];

	for (int i = 0; i < 4; i++)
		settings[i] = settings_of(1);
	settings[0].queues = 0;
	settings[1].queues = DENIM_UDP_QUEUES + 1;
	settings[2].bind_v4 = 0;
	memset(settings[3].name, 'x', sizeof(settings[3].name));
	for (int i = 0; i < 4; i++) {
		error[0] = 0;
		CHECK(!denim_udp_start(&settings[i], error) && error[0] == -EINVAL && error[1] == DENIM_STAGE_OTHER);
	}
}

/* What is handed in and is no TUN device stays open, and the caller's. */
static void refuses_a_foreign_descriptor(void)
{
	struct denim_udp_settings settings = settings_of(1);
	int32_t error[2];

	settings.tun[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(settings.tun[0] >= 0);
	CHECK(!denim_udp_start(&settings, error) && error[0] == -ENOTTY && error[1] == DENIM_STAGE_DEVICE);
	CHECK(close(settings.tun[0]) == 0);
}

static void raise_device(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0);
	close(fd);
}

/* The sender's subnet behind 127.0.0.1, and others that come and go. */
static void set_peers(struct denim_udp *udp, uint32_t round)
{
	static struct denim_udp_peer records[PEERS];
	uint32_t count = 1 + round % PEERS;

	for (uint32_t i = 0; i < count; i++) {
		records[i] = (struct denim_udp_peer){ .family = DENIM_V4, .length = 24, .underlay_family = DENIM_V4, .port = PORT,
						      .subnet = { 10, (uint8_t)(1 + i / 256), (uint8_t)i }, .address = { 127, 0, 0, 1 } };
	}
	CHECK(denim_udp_peers(udp, records, count) == 0);
}

static int sender(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

static void changes_peers_under_way(void)
{
	struct shape shape = { .family = DENIM_V4, .protocol = IPPROTO_TCP, .ttl = 64, .flags = ACK_FLAG, .payload = 1000 };
	struct denim_udp_settings settings = settings_of(2);
	struct denim_udp_peer_stats peers[PEERS];
	struct denim_udp_stats stats;
	uint8_t bytes[2048];
	int32_t error[2], count;
	struct denim_udp *udp = denim_udp_start(&settings, error);
	int fd = sender();

	CHECK(udp && error[0] == 0);
	CHECK(denim_udp_stats(udp, &stats, NULL, 0) == 0 && strcmp(stats.name, "tnl0") == 0);
	raise_device(stats.name);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 4; i++, shape.sequence += 1000)
			CHECK(send(fd, bytes, put_packet(bytes, &shape), 0) > 0 || errno == EAGAIN || errno == ECONNREFUSED);
		set_peers(udp, round);
		count = denim_udp_stats(udp, &stats, peers, PEERS);
		CHECK(count == (int32_t)(1 + round % PEERS) && stats.failed == 0);
	}
	CHECK(stats.received_packets > 0 && peers[0].received_packets > 0);
	CHECK(stats.drops[DENIM_DROP_DEVICE] == 0 && stats.drops[DENIM_DROP_SPOOFED] == 0);
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 0);
	close(fd);
}

/* What waits in the device's queue for a new tunnel must not be judged before there are peers. */
static void waits_for_its_first_peers(void)
{
	struct shape shape = { .family = DENIM_V4, .protocol = IPPROTO_TCP, .ttl = 64, .flags = ACK_FLAG, .payload = 1000 };
	struct denim_udp_settings settings = settings_of(1);
	struct denim_udp_stats stats;
	uint8_t bytes[2048];
	int32_t error[2];
	struct denim_udp *udp = denim_udp_start(&settings, error);
	int fd = sender();

	CHECK(udp != NULL);
	CHECK(send(fd, bytes, put_packet(bytes, &shape), 0) > 0);
	CHECK(denim_udp_stats(udp, &stats, NULL, 0) == 0 && stats.received_messages == 0);
	set_peers(udp, 0);
	for (int i = 0; i < 5000 && stats.received_messages == 0; i++) {
		usleep(1000);
		denim_udp_stats(udp, &stats, NULL, 0);
	}
	CHECK(stats.received_messages == 1 && stats.drops[DENIM_DROP_STRANGER] == 0);
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 0);
	close(fd);
}

/* Descriptors go from tunnel to tunnel; the device stays as long as they do. */
static void hands_its_descriptors_on(void)
{
	struct denim_udp_settings settings = settings_of(2);
	int32_t error[2], fds[3 * DENIM_UDP_QUEUES];
	struct denim_udp *udp = denim_udp_start(&settings, error);

	CHECK(udp != NULL);
	for (int round = 0; round < 5; round++) {
		CHECK(denim_udp_descriptors(udp, fds, 2) == 6 && denim_udp_descriptors(udp, fds, 24) == 6 && fds[2] == -1);
		close(denim_udp_pipe(udp));
		denim_udp_stop(udp, 1);
		CHECK(if_nametoindex("tnl0") > 0);
		for (int i = 0; i < 2; i++) {
			settings.tun[i] = fds[3 * i];
			settings.socket_v4[i] = fds[3 * i + 1];
		}
		memset(settings.name, 0, sizeof(settings.name));
		udp = denim_udp_start(&settings, error);
		CHECK(udp != NULL);
	}
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 0);
	CHECK(if_nametoindex("tnl0") == 0);
}

/* Descriptors of another tunnel than the one that is wanted. */
static void refuses_descriptors_that_do_not_fit(void)
{
	struct denim_udp_settings settings = settings_of(1), others[5];
	int32_t error[2], fds[3];
	struct denim_udp *udp = denim_udp_start(&settings, error);

	CHECK(udp && denim_udp_descriptors(udp, fds, 3) == 3);
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 1);
	settings.tun[0] = fds[0];
	settings.socket_v4[0] = fds[1];
	for (int i = 0; i < 5; i++)
		others[i] = settings;
	others[0].port++;
	others[1].address_v4[0] = 127;
	others[2].plain = 1;
	others[3].queues = 2;
	others[4].socket_v4[0] = fds[0];
	for (int i = 0; i < 5; i++) {
		enum denim_udp_stage stage = i == 2 || i == 3 ? DENIM_STAGE_DEVICE : DENIM_STAGE_V4;

		CHECK(!denim_udp_start(&others[i], error) && error[0] == -EINVAL && error[1] == (int32_t)stage);
	}
	udp = denim_udp_start(&settings, error);
	CHECK(udp != NULL);
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 0);
}

static void tells_that_the_port_is_taken(void)
{
	struct denim_udp_settings settings = settings_of(1);
	int32_t error[2];
	struct denim_udp *udp = denim_udp_start(&settings, error), *second;

	CHECK(udp != NULL);
	second = denim_udp_start(&settings, error);
	CHECK(!second && error[0] == -EADDRINUSE && error[1] == DENIM_STAGE_V4 && if_nametoindex("tnl1") == 0);
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 0);
}

/* Whoever knows the seed of one can choose prefixes against it. */
static void each_tunnel_has_a_secret_of_its_own(void)
{
	struct denim_udp_settings settings = settings_of(1);
	int32_t error[2];
	struct denim_udp *udp = denim_udp_start(&settings, error), *second;

	settings.port = PORT + 1;
	second = denim_udp_start(&settings, error);
	CHECK(udp != NULL && second != NULL && udp->seed != second->seed && udp->seed != 0 && second->seed != 0);
	close(denim_udp_pipe(udp));
	close(denim_udp_pipe(second));
	denim_udp_stop(udp, 0);
	denim_udp_stop(second, 0);
}

static bool may_make_a_device(void)
{
	struct denim_udp_settings settings = settings_of(1);
	struct denim_udp *udp;
	int32_t error[2];

	if (unshare(CLONE_NEWNET) != 0)
		return false;
	raise_device("lo");
	udp = denim_udp_start(&settings, error);
	if (!udp)
		return false;
	close(denim_udp_pipe(udp));
	denim_udp_stop(udp, 0);
	return true;
}

int main(void)
{
	RUN(refuses_settings_that_make_no_sense);
	RUN(refuses_a_foreign_descriptor);
	if (!may_make_a_device()) {
		printf("not run: tunnels with a device (they need root and /dev/net/tun)\n");
		return 0;
	}
	RUN(changes_peers_under_way);
	RUN(waits_for_its_first_peers);
	RUN(hands_its_descriptors_on);
	RUN(refuses_descriptors_that_do_not_fit);
	RUN(tells_that_the_port_is_taken);
	RUN(each_tunnel_has_a_secret_of_its_own);
	return 0;
}
