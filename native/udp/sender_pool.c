/*
 * Several sockets, each with a source port of its own: the underlay's ECMP and the receiver's queues tell inner flows apart
 * by it. They only send; what is sent to them is dropped before it takes room. All queues share them, so that a flow keeps
 * its port whichever queue it leaves by.
 */
#include "udp.h"

#include <errno.h>
#include <linux/filter.h>
#include <unistd.h>

static int take_nothing(int fd)
{
	struct sock_filter nothing[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { .len = 1, .filter = nothing };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno : 0;
}

static int open_one(int *fd, uint8_t family, const struct denim_udp_settings *settings)
{
	int result;

	*fd = udp_open_out(family == DENIM_V4 ? AF_INET : AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
	if (*fd < 0)
		return *fd;
	result = take_nothing(*fd);
	return result < 0 ? result : udp_bind(*fd, family, settings, 0);
}

static int open_pool(struct denim_udp *udp)
{
	const struct denim_udp_settings *settings = &udp->settings;
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < settings->sources; i++) {
		if (settings->bind_v4)
			result = open_one(&udp->out[0][i], DENIM_V4, settings);
		if (result == 0 && settings->bind_v6)
			result = open_one(&udp->out[1][i], DENIM_V6, settings);
	}
	return result;
}

static int choose(const struct denim_udp *udp, const struct peer *peer, uint32_t flow)
{
	uint32_t which = (uint32_t)((uint64_t)flow * udp->settings.sources >> 32);

	return udp->out[peer->record.underlay_family == DENIM_V6][which];
}

const struct sender_kind udp_sender_pool = { .kind = DENIM_UDP_POOL, .open = open_pool, .choose = choose };
