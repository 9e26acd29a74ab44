/*
 * The descriptors of a queue: a TUN device's and its sockets', opened here or handed in, and what the kernel can do with
 * them, found out by asking for it, best first.
 */
#include "udp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Headers of kernels from 6.2 on have these. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static short device_flags(const struct denim_udp_settings *settings)
{
	return (short)(IFF_TUN | IFF_NO_PI | (settings->plain ? 0 : IFF_VNET_HDR) |
		       (settings->queues > 1 ? IFF_MULTI_QUEUE : 0));
}

/* The device's name: the settings' for the first queue, what became of it for the others. */
static int attach(struct queue *queue)
{
	struct denim_udp *udp = queue->udp;
	struct ifreq request = { .ifr_flags = device_flags(&udp->settings) };

	memcpy(request.ifr_name, udp->name, sizeof(udp->name));
	queue->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (queue->tun < 0)
		return -errno;
	queue->own_tun = true;
	if (ioctl(queue->tun, TUNSETIFF, &request) < 0)
		return -errno;
	memcpy(udp->name, request.ifr_name, sizeof(udp->name));
	return 0;
}

/* Of another kind, or a queue of another device than the first: not to be used. */
static int adopt(struct queue *queue)
{
	const short kind = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
	struct denim_udp *udp = queue->udp;
	struct ifreq request = { 0 };

	if (ioctl(queue->tun, TUNGETIFF, &request) < 0)
		return -errno;
	if ((request.ifr_flags & kind) != device_flags(&udp->settings) ||
	    (queue != udp->queues[0] && strncmp(request.ifr_name, udp->name, sizeof(udp->name)) != 0))
		return -EINVAL;
	memcpy(udp->name, request.ifr_name, sizeof(udp->name));
	return make_nonblocking(queue->tun);
}

static uint32_t probe_device(int fd, uint32_t without)
{
	static const struct {
		unsigned long flags;
		uint32_t features;
	} offers[] = {
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
		  DENIM_UDP_CSUM | DENIM_UDP_TSO | DENIM_UDP_USO },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, DENIM_UDP_CSUM | DENIM_UDP_TSO },
		{ TUN_F_CSUM, DENIM_UDP_CSUM },
		{ 0, 0 },
	};

	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		if (!(offers[i].features & without) && ioctl(fd, TUNSETOFFLOAD, offers[i].flags) == 0)
			return offers[i].features;
	}
	return 0;
}

static int open_device(struct queue *queue, int given)
{
	int result, header = sizeof(struct virtio_net_hdr), little = 1;

	queue->udp->stage = DENIM_STAGE_DEVICE;

	queue->tun = given;
	result = given < 0 ? attach(queue) : adopt(queue);
	if (result < 0 || queue->udp->settings.plain)
		return result;
	if (ioctl(queue->tun, TUNSETVNETHDRSZ, &header) < 0)
		return -errno;
	/* Before Linux 4.1 it cannot be set; the machine's own order is little anyway on what such kernels run on. */
	if (ioctl(queue->tun, TUNSETVNETLE, &little) < 0 && errno != EINVAL)
		return -errno;
	queue->features = probe_device(queue->tun, queue->udp->settings.without);
	return 0;
}

static int bind_v4(int fd, const struct denim_udp_settings *settings, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	memcpy(&address.sin_addr, settings->address_v4, 4);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int bind_v6(int fd, const struct denim_udp_settings *settings, uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memcpy(&address.sin6_addr, settings->address_v6, 16);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int udp_bind(int fd, uint8_t family, const struct denim_udp_settings *settings, uint16_t port)
{
	return family == DENIM_V4 ? bind_v4(fd, settings, port) : bind_v6(fd, settings, port);
}

static int bind_socket(int fd, uint8_t family, const struct denim_udp_settings *settings)
{
	int one = 1;

	if (settings->queues > 1 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
		return -errno;
	if (family == DENIM_V6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	return udp_bind(fd, family, settings, settings->port);
}

/* The right to force it goes beyond that of the network's administrator in some containers. */
static void enlarge(int fd)
{
	int size = UDP_SOCKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int udp_open_out(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -errno;
	enlarge(fd);
	return fd;
}

/* What the sockets can do; a feature stays only where each of them has it. */
static void probe_socket(struct queue *queue, int fd, uint32_t *features)
{
	uint32_t without = queue->udp->settings.plain ? UINT32_MAX : queue->udp->settings.without;
	int none = 0, gro = !(without & DENIM_UDP_GRO);

	if (without & DENIM_UDP_SEGMENT || setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof(none)) < 0)
		*features &= ~(uint32_t)DENIM_UDP_SEGMENT;
	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &gro, sizeof(gro)) < 0 || !gro)
		*features &= ~(uint32_t)DENIM_UDP_GRO;
}

static int adopt_socket(int fd, uint8_t family, const struct denim_udp_settings *settings)
{
	struct denim_descriptor is;

	if (denim_describe(fd, &is) < 0 || is.kind != DENIM_IS_UDP_SOCKET || is.family != family ||
	    is.port != settings->port ||
	    memcmp(is.address, family == DENIM_V4 ? settings->address_v4 : settings->address_v6, 16) != 0)
		return -EINVAL;
	enlarge(fd);
	return make_nonblocking(fd);
}

static int open_socket(int *fd, bool *own, int given, uint8_t family, const struct denim_udp_settings *settings)
{
	*fd = given;
	if (given >= 0)
		return adopt_socket(given, family, settings);
	*fd = udp_open_out(family == DENIM_V4 ? AF_INET : AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
	if (*fd < 0)
		return *fd;
	*own = true;
	return bind_socket(*fd, family, settings);
}

static int open_sockets(struct queue *queue, uint32_t index)
{
	const struct denim_udp_settings *settings = &queue->udp->settings;
	uint32_t features = DENIM_UDP_SEGMENT | DENIM_UDP_GRO;
	int result = 0;

	queue->udp->stage = DENIM_STAGE_V4;
	if (settings->bind_v4)
		result = open_socket(&queue->v4, &queue->own_v4, settings->socket_v4[index], DENIM_V4, settings);
	if (result == 0 && settings->bind_v6) {
		queue->udp->stage = DENIM_STAGE_V6;
		result = open_socket(&queue->v6, &queue->own_v6, settings->socket_v6[index], DENIM_V6, settings);
	}
	for (int of = 0; result == 0 && of < 2; of++) {
		int fd = of == 0 ? queue->v4 : queue->v6;

		if (fd >= 0)
			probe_socket(queue, fd, &features);
	}
	queue->features |= features;
	return result;
}

int udp_open_queue(struct queue *queue, uint32_t index)
{
	int result = open_device(queue, queue->udp->settings.tun[index]);

	return result < 0 ? result : open_sockets(queue, index);
}

void udp_open_raw(struct denim_udp *udp)
{
	/* IPPROTO_RAW: the IP header is ours. */
	udp->raw_v4 = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	udp->raw_v6 = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
}
