/* Which sender: the one that was asked for where it can be, and the socket that receives otherwise. */
#include "udp.h"

#include <unistd.h>

static const struct sender_kind own_socket = { .kind = DENIM_UDP_SOCKET };

static void close_out(struct denim_udp *udp)
{
	for (uint32_t i = 0; i < 2 * DENIM_UDP_SOURCES; i++) {
		int *fd = &udp->out[i / DENIM_UDP_SOURCES][i % DENIM_UDP_SOURCES];

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

void udp_open_sender(struct denim_udp *udp)
{
	const struct sender_kind *kinds[] = { &own_socket, &udp_sender_pool, &udp_sender_raw };
	const struct sender_kind *kind = kinds[udp->settings.sender];

	udp->sender_error = kind->open ? kind->open(udp) : 0;
	udp->sender = udp->sender_error == 0 ? kind : &own_socket;
	if (udp->sender_error < 0)
		close_out(udp);
}

void udp_close_sender(struct denim_udp *udp)
{
	close_out(udp);
}
