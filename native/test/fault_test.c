/*
 * What the kernel may answer a queue, in its place: the system calls are the real ones until a test says what one of them
 * refuses. Nothing is lost but what was refused, nothing is given up but what cannot be, and nobody waits for long.
 *
 * The program's own sendmmsg and so on stand before the C library's, also where that is linked statically.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>

enum call { SENDMMSG, SENDMSG, WRITEV, RECVMMSG, CALLS };

/* Of each call: what it refuses, how often still (-1: always), of messages with a control part only. */
static struct fault {
	int error, times;
	bool segmented;
	uint8_t to; /* only towards this last octet of an address */
	uint32_t calls;
} faults[CALLS];

static int room_after; /* calls of poll until there is room; -1: never */
static uint32_t polls;
static int most_messages; /* of one sendmmsg */

static bool refuses(enum call call, const struct msghdr *head)
{
	struct fault *fault = &faults[call];

	fault->calls++;
	if (fault->error == 0 || fault->times == 0 || (fault->segmented && (!head || head->msg_controllen == 0)))
		return false;
	if (fault->to != 0 && (!head || ((uint8_t *)&((struct sockaddr_in *)head->msg_name)->sin_addr)[3] != fault->to))
		return false;
	fault->times -= fault->times > 0;
	errno = fault->error;
	return true;
}

int sendmmsg(int fd, struct mmsghdr *heads, unsigned int count, int flags)
{
	unsigned int good = 0;

	while (good < count && !refuses(SENDMMSG, &heads[good].msg_hdr))
		good++;
	if (good == 0)
		return -1;
	if (most_messages > 0 && good > (unsigned int)most_messages)
		good = (unsigned int)most_messages;
	return (int)syscall(SYS_sendmmsg, fd, heads, good, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *head, int flags)
{
	return refuses(SENDMSG, head) ? -1 : syscall(SYS_sendmsg, fd, head, flags);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	const struct virtio_net_hdr *header = parts[0].iov_base;
	struct msghdr super = { .msg_controllen = header->gso_type };

	return refuses(WRITEV, &super) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int recvmmsg(int fd, struct mmsghdr *heads, unsigned int count, int flags, struct timespec *timeout)
{
	return refuses(RECVMMSG, NULL) ? -1 : (int)syscall(SYS_recvmmsg, fd, heads, count, flags, timeout);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	(void)timeout;
	CHECK(count == 2);
	fds[0].revents = fds[1].revents = 0;
	polls++;
	if (room_after < 0 || polls <= (uint32_t)room_after)
		return 0;
	fds[0].revents = POLLOUT;
	return 1;
}

static void no_faults(void)
{
	memset(faults, 0, sizeof(faults));
	room_after = most_messages = 0;
	polls = 0;
}

static struct bench bench;

static void begin(uint32_t features)
{
	int size = 1 << 24;

	no_faults();
	open_bench(&bench, features, 0);
	setsockopt(bench.wire, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

/* 60 packets in one message, or one by one; how many arrive. */
static uint32_t send_sixty(void)
{
	static uint8_t bytes[PACKET_ROOM];
	uint32_t count = 0;

	from_device(&bench, super_of(1000), bytes, put_packet(bytes, &stream));
	while (recv(bench.wire, buffer, sizeof(buffer), 0) > 0)
		count++;
	return count;
}

static uint64_t dropped(enum denim_udp_drop reason)
{
	return counter(&bench, DROPS + reason);
}

static bool alone(void)
{
	return bench.table->peers[0]->alone_until > bench.queue->now;
}

static void eio_gives_segmentation_up_for_good(void)
{
	begin(DENIM_UDP_SEGMENT);
	faults[SENDMMSG] = (struct fault){ .error = EIO, .times = -1, .segmented = true };
	CHECK(send_sixty() == 60 && bench.queue->features == 0 && !alone());
	no_faults();
	CHECK(send_sixty() == 60 && counter(&bench, SENT_MESSAGES) == 120 && dropped(DENIM_DROP_SEND) == 0);
	close_bench(&bench);
}

static void a_path_that_takes_no_segments_is_tried_again(int error)
{
	begin(DENIM_UDP_SEGMENT);
	bench.queue->now = 1000;
	faults[SENDMMSG] = (struct fault){ .error = error, .times = 1, .segmented = true };
	CHECK(send_sixty() == 60 && bench.queue->features == DENIM_UDP_SEGMENT && alone());
	CHECK(send_sixty() == 60 && counter(&bench, SENT_MESSAGES) == 120);
	bench.queue->now += UDP_ALONE;
	CHECK(!alone() && send_sixty() == 60 && counter(&bench, SENT_MESSAGES) == 121);
	close_bench(&bench);
}

static void emsgsize_and_einval_are_the_path_s(void)
{
	a_path_that_takes_no_segments_is_tried_again(EMSGSIZE);
	a_path_that_takes_no_segments_is_tried_again(EINVAL);
}

/* A route that comes and goes says nothing about segmentation. */
static void other_errors_give_nothing_up(void)
{
	static const int errors[] = { EHOSTUNREACH, ENETUNREACH, EPERM, ECONNREFUSED, ENOBUFS, ENOMEM, ENETDOWN };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		begin(DENIM_UDP_SEGMENT);
		faults[SENDMMSG] = (struct fault){ .error = errors[i], .times = 1 };
		CHECK(send_sixty() == 60 && !alone() && bench.queue->features == DENIM_UDP_SEGMENT);
		close_bench(&bench);
	}
}

static void what_is_refused_is_counted_and_no_more(void)
{
	begin(DENIM_UDP_SEGMENT);
	faults[SENDMMSG] = faults[SENDMSG] = (struct fault){ .error = EPERM, .times = -1 };
	CHECK(send_sixty() == 0 && dropped(DENIM_DROP_SEND) == 60 && dropped(DENIM_DROP_BUSY) == 0 && !alone());
	faults[SENDMMSG] = faults[SENDMSG] = (struct fault){ .error = ENOBUFS, .times = -1 };
	CHECK(send_sixty() == 0 && dropped(DENIM_DROP_SEND) == 60 && dropped(DENIM_DROP_BUSY) == 60);
	no_faults();
	CHECK(send_sixty() == 60 && counter(&bench, SENT_PACKETS) == 60 && bench.table->peers[0]->sent_packets == 60);
	close_bench(&bench);
}

/* Packets to two peers in turns; one of them is refused. */
static void one_peer_s_refusal_is_not_the_other_s(void)
{
	static uint8_t bytes[2048];
	struct virtio_net_hdr none = { 0 };
	struct shape shape = stream;
	uint32_t length;

	begin(DENIM_UDP_SEGMENT);
	bench.table->peers[1]->to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 6);
	faults[SENDMMSG] = faults[SENDMSG] = (struct fault){ .error = EHOSTUNREACH, .times = -1, .to = 7 };
	shape.payload = 500;
	for (int i = 0; i < 20; i++) {
		struct iovec parts[] = { { &none, sizeof(none) }, { bytes, 0 } };

		shape.family = i % 2 ? DENIM_V6 : DENIM_V4;
		length = put_packet(bytes, &shape);
		parts[1].iov_len = length;
		CHECK(writev(bench.device, parts, 2) > 0);
	}
	CHECK(udp_from_device(bench.queue) == 1 && dropped(DENIM_DROP_SEND) == 10);
	CHECK(bench.table->peers[0]->sent_packets == 10 && bench.table->peers[1]->sent_packets == 0);
	close_bench(&bench);
}

static void goes_on_where_it_was_interrupted(void)
{
	begin(0);
	faults[SENDMMSG] = (struct fault){ .error = EINTR, .times = 3 };
	most_messages = 7;
	CHECK(send_sixty() == 60 && counter(&bench, SENT_MESSAGES) == 60);
	close_bench(&bench);
}

static void waits_for_room(void)
{
	begin(DENIM_UDP_SEGMENT);
	faults[SENDMMSG] = (struct fault){ .error = EAGAIN, .times = 1 };
	CHECK(send_sixty() == 60 && polls == 1 && dropped(DENIM_DROP_BUSY) == 0);
	close_bench(&bench);
}

/* A socket that stays full is waited for once a flush; one that says it is not, and is, so often and no more. */
static void does_not_wait_for_ever(void)
{
	begin(0);
	room_after = -1;
	faults[SENDMMSG] = (struct fault){ .error = EAGAIN, .times = -1 };
	CHECK(send_sixty() == 0 && dropped(DENIM_DROP_BUSY) == 60 && polls == 1);
	no_faults();
	faults[SENDMMSG] = (struct fault){ .error = EAGAIN, .times = -1 };
	CHECK(send_sixty() == 0 && dropped(DENIM_DROP_BUSY) == 120 && polls == 100);
	no_faults();
	CHECK(send_sixty() == 60 && polls == 0);
	close_bench(&bench);
}

/* Ten packets of a stream over the wire, then turns until nothing is left. */
static uint32_t receive_ten(void)
{
	struct shape shape = stream;
	uint32_t length, packets = 0;

	shape.payload = 1000;
	for (int i = 0; i < 10; i++) {
		length = put_packet(buffer, &shape);
		CHECK(send(bench.wire, buffer, length, 0) == (ssize_t)length);
		shape.sequence += 1000;
		shape.identification++;
	}
	while (udp_from_wire(bench.queue, bench.queue->v4) > 0)
		;
	while (recv(bench.device, buffer, sizeof(buffer), 0) > 0)
		packets++;
	return packets;
}

static void a_device_without_super_packets_gets_none(void)
{
	begin(DENIM_UDP_TSO | DENIM_UDP_USO);
	faults[WRITEV] = (struct fault){ .error = EINVAL, .times = -1, .segmented = true };
	CHECK(receive_ten() == 10 && bench.queue->features == DENIM_UDP_USO);
	CHECK(receive_ten() == 10 && faults[WRITEV].calls < 25 && dropped(DENIM_DROP_DEVICE) == 0);
	close_bench(&bench);
}

static void a_device_that_is_down_is_counted_by_packets(void)
{
	begin(DENIM_UDP_TSO);
	faults[WRITEV] = (struct fault){ .error = EIO, .times = -1 };
	CHECK(receive_ten() == 0 && dropped(DENIM_DROP_DEVICE) == 10 && bench.queue->features == DENIM_UDP_TSO);
	no_faults();
	CHECK(receive_ten() < 10 && dropped(DENIM_DROP_DEVICE) == 10);
	close_bench(&bench);
}

static void what_the_network_says_of_earlier_datagrams_ends_nothing(void)
{
	static const int errors[] = { EINTR, EAGAIN, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EPROTO, ENOBUFS, ENOMEM };

	begin(0);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		faults[RECVMMSG] = (struct fault){ .error = errors[i], .times = 1 };
		CHECK(udp_from_wire(bench.queue, bench.queue->v4) == 0);
	}
	faults[RECVMMSG] = (struct fault){ .error = EBADF, .times = 1 };
	CHECK(udp_from_wire(bench.queue, bench.queue->v4) == -EBADF);
	CHECK(receive_ten() == 10);
	close_bench(&bench);
}

/* What a raw socket does not take (too long for the link) goes over the plain one. */
static void a_raw_refusal_goes_over_the_socket(void)
{
	struct denim_udp_settings settings = { .sender = DENIM_UDP_RAW, .sources = 1, .bind_v4 = 1, .address_v4 = { 127, 0, 0, 1 } };

	no_faults();
	open_bench_as(&bench, &settings, DENIM_UDP_SEGMENT, 0);
	if (bench.udp.sender->kind != DENIM_UDP_RAW) {
		printf("not run: a refusal of the raw sender (it needs CAP_NET_RAW)\n");
		close_bench(&bench);
		return;
	}
	faults[SENDMMSG] = (struct fault){ .error = EMSGSIZE, .times = 5 };
	CHECK(send_sixty() == 60 && faults[SENDMSG].calls == 5 && dropped(DENIM_DROP_SEND) == 0);
	CHECK(bench.table->peers[0]->sent_packets == 60 && bench.table->peers[0]->sent_bytes == 62400 && !alone());
	faults[SENDMMSG] = faults[SENDMSG] = (struct fault){ .error = ENOBUFS, .times = -1 };
	CHECK(send_sixty() == 0 && faults[SENDMSG].calls == 0 && dropped(DENIM_DROP_BUSY) == 60);
	close_bench(&bench);
}

int main(void)
{
	RUN(eio_gives_segmentation_up_for_good);
	RUN(emsgsize_and_einval_are_the_path_s);
	RUN(other_errors_give_nothing_up);
	RUN(what_is_refused_is_counted_and_no_more);
	RUN(one_peer_s_refusal_is_not_the_other_s);
	RUN(goes_on_where_it_was_interrupted);
	RUN(waits_for_room);
	RUN(does_not_wait_for_ever);
	RUN(a_device_without_super_packets_gets_none);
	RUN(a_device_that_is_down_is_counted_by_packets);
	RUN(what_the_network_says_of_earlier_datagrams_ends_nothing);
	RUN(a_raw_refusal_goes_over_the_socket);
	return 0;
}
