/*
 * What a monitor hands over: which changes count, what they say, the ring they wait in, and what it takes for the answer to be
 * whole. The socket's answers are the test's own; the monitor's thread sleeps until it is stopped.
 */
#include "check.h"
#include "messages.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OWN = 4711, ENDLESS = 1 << 30 };

/* What recv says: `error`, then `count` times `sample`, then `end`. */
static struct {
	int error, count, end;
	struct sample sample;
} queue;

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	(void)fd;
	CHECK(size >= queue.sample.b.length && flags == MSG_DONTWAIT);
	errno = queue.error ? queue.error : queue.end;
	if (queue.error || queue.count == 0) {
		queue.error = 0;
		return -1;
	}
	queue.count -= queue.count != ENDLESS;
	memcpy(buffer, queue.sample.bytes, queue.sample.b.length);
	return (ssize_t)queue.sample.b.length;
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int result = (int)syscall(SYS_ppoll, fds, 1, NULL, NULL, 0);

	(void)timeout;
	for (nfds_t i = 1; i < count; i++)
		fds[i].revents = 0;
	return result;
}

static struct watched everything, devices_only;

static struct nlmsghdr *first(struct sample *s)
{
	return (struct nlmsghdr *)s->bytes;
}

static void one(struct sample *s, void (*put)(struct nl_buffer *, uint32_t))
{
	sample_init(s);
	put(&s->b, 0);
}

static bool enters(struct sample *s, const struct watched *watched)
{
	struct denim_change change;

	return change_parse(first(s), OWN, watched, &change);
}

static void a_change_is_the_record_of_a_read(void)
{
	struct sample s;
	struct denim_change change;

	one(&s, put_route_reply);
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.kind == DENIM_CHANGE_ROUTE);
	CHECK(change.flags == 0 && change.route.length == 24 && change.route.gateway[2] == 2);
	first(&s)->nlmsg_type = RTM_DELROUTE;
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.flags == DENIM_CHANGE_GONE);
	CHECK(change.route.length == 24 && change.route.protocol == 85);
	one(&s, put_nexthop_reply);
	first(&s)->nlmsg_type = RTM_DELNEXTHOP;
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.kind == DENIM_CHANGE_NEXTHOP);
	CHECK(change.flags == DENIM_CHANGE_GONE && change.nexthop.id == 0x40000001);
	one(&s, put_neighbour_reply);
	first(&s)->nlmsg_type = RTM_DELNEIGH;
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.kind == DENIM_CHANGE_NEIGHBOUR);
	CHECK(change.flags == DENIM_CHANGE_GONE && change.neighbour.table == DENIM_FDB && change.neighbour.mac[5] == 2);
	one(&s, put_vxlan_reply);
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.kind == DENIM_CHANGE_LINK);
	CHECK(change.flags == DENIM_CHANGE_UP && change.index == 7);
	one(&s, put_address_reply);
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.kind == DENIM_CHANGE_ADDRESS);
	CHECK(change.flags == 0 && change.index == 7);
}

static void says_who_and_what_was_replaced(void)
{
	struct sample s;
	struct denim_change change;

	one(&s, put_route_reply);
	first(&s)->nlmsg_pid = OWN;
	first(&s)->nlmsg_flags = NLM_F_REPLACE;
	CHECK(change_parse(first(&s), OWN, &everything, &change));
	CHECK(change.flags == (DENIM_CHANGE_OWN | DENIM_CHANGE_REPLACES));
	CHECK(change_parse(first(&s), OWN + 1, &everything, &change) && change.flags == DENIM_CHANGE_REPLACES);
	first(&s)->nlmsg_type = RTM_DELROUTE;
	CHECK(change_parse(first(&s), OWN, &everything, &change));
	CHECK(change.flags == (DENIM_CHANGE_OWN | DENIM_CHANGE_GONE));
	first(&s)->nlmsg_pid = 0; /* the kernel itself */
	CHECK(change_parse(first(&s), 0, &everything, &change) && change.flags == DENIM_CHANGE_GONE);
}

static void a_port_that_leaves_its_bridge_is_not_gone(void)
{
	struct sample s;
	struct denim_change change;

	one(&s, put_vxlan_reply);
	first(&s)->nlmsg_type = RTM_DELLINK;
	CHECK(change_parse(first(&s), OWN, &everything, &change));
	CHECK(change.flags == (DENIM_CHANGE_GONE | DENIM_CHANGE_UP));
	((struct ifinfomsg *)(first(&s) + 1))->ifi_family = AF_BRIDGE;
	CHECK(change_parse(first(&s), OWN, &everything, &change) && change.flags == DENIM_CHANGE_UP);
}

static void dumps_take_nothing_that_is_gone(void)
{
	struct sample s;
	_Alignas(8) uint8_t record[NL_RECORD_MAX];

	one(&s, put_route_reply);
	first(&s)->nlmsg_type = RTM_DELROUTE;
	CHECK(!route_parse(first(&s), record, NULL));
	one(&s, put_nexthop_reply);
	first(&s)->nlmsg_type = RTM_DELNEXTHOP;
	CHECK(!nexthop_parse(first(&s), record, NULL));
	one(&s, put_neighbour_reply);
	first(&s)->nlmsg_type = RTM_DELNEIGH;
	CHECK(!neighbour_parse(first(&s), record, NULL));
}

/* Of protocol 4 on device 9, to 10.5.2.0/24, in the main table. */
static void foreign_route(struct sample *s, uint32_t table, uint32_t nexthop, uint32_t flags)
{
	struct rtmsg header = { .rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_protocol = 4, .rtm_flags = flags };

	sample_init(s);
	nl_begin(&s->b, RTM_NEWROUTE, 0, &header, sizeof(header));
	nl_put(&s->b, RTA_DST, "\x0a\x05\x02\x00", 4);
	nl_put_u32(&s->b, RTA_OIF, 9);
	nl_put_u32(&s->b, RTA_TABLE, table);
	if (nexthop != 0)
		nl_put_u32(&s->b, RTA_NH_ID, nexthop);
	nl_end(&s->b, 0);
}

static void routes_that_count(void)
{
	static const uint32_t nine[] = { 8, 9 };
	struct sample s;
	struct watched watched;

	foreign_route(&s, 254, 0, 0);
	CHECK(enters(&s, &everything) && !enters(&s, &devices_only));
	watch_only(&watched, nine, 2, NULL, 0);
	CHECK(enters(&s, &watched));
	watch_only(&watched, nine, WATCH_DEVICES + 1, NULL, 0);
	CHECK(enters(&s, &watched));
	foreign_route(&s, 255, 0, 0);
	CHECK(!enters(&s, &everything));
	foreign_route(&s, 254, 0, RTM_F_CLONED);
	CHECK(!enters(&s, &everything));
	foreign_route(&s, 254, 5, 0);
	CHECK(enters(&s, &devices_only));
	one(&s, put_route_reply); /* of protocol 85 */
	watch_only(&watched, NULL, 0, NULL, 0);
	CHECK(enters(&s, &watched));
}

static void routes_into_a_network_count(void)
{
	static const struct {
		struct denim_prefix network;
		bool inside;
	} cases[] = {
		{ { .family = DENIM_V4, .length = 16, .address = { 10, 5 } }, true },
		{ { .family = DENIM_V4, .length = 24, .address = { 10, 5, 2 } }, true },
		{ { .family = DENIM_V4, .length = 0 }, true },
		{ { .family = DENIM_V4, .length = 23, .address = { 10, 5, 2 } }, true },
		{ { .family = DENIM_V4, .length = 25, .address = { 10, 5, 2 } }, false },
		{ { .family = DENIM_V4, .length = 23, .address = { 10, 5, 0 } }, false },
		{ { .family = DENIM_V4, .length = 16, .address = { 10, 6 } }, false },
		{ { .family = DENIM_V6, .length = 16, .address = { 10, 5 } }, false },
		{ { .family = DENIM_NONE, .length = 0 }, false },
		{ { .family = DENIM_V4, .length = 33, .address = { 10, 5, 2 } }, false },
		{ { .family = DENIM_V4, .length = 255, .address = { 10, 5, 2 } }, false },
	};
	struct sample s;
	struct watched watched;

	foreign_route(&s, 254, 0, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		watch_only(&watched, NULL, 0, &cases[i].network, 1);
		CHECK(enters(&s, &watched) == cases[i].inside);
	}
	watch_only(&watched, NULL, 0, &cases[6].network, WATCH_NETWORKS + 1);
	CHECK(enters(&s, &watched));
	/* A network that is longer than its family's addresses has nothing in it, whatever length a route claims. */
	((struct rtmsg *)(first(&s) + 1))->rtm_dst_len = 255;
	for (size_t i = 9; i < sizeof(cases) / sizeof(cases[0]); i++) {
		watch_only(&watched, NULL, 0, &cases[i].network, 1);
		CHECK(!enters(&s, &watched));
	}
}

static void neighbours_count_on_watched_devices(void)
{
	static const uint32_t seven[] = { 7 };
	struct sample s;
	struct watched watched;

	one(&s, put_neighbour_reply);
	CHECK(enters(&s, &everything) && !enters(&s, &devices_only));
	watch_only(&watched, seven, 1, NULL, 0);
	CHECK(enters(&s, &watched));
	one(&s, put_vxlan_reply);
	CHECK(enters(&s, &devices_only));
	one(&s, put_address_reply);
	CHECK(enters(&s, &devices_only));
	one(&s, put_nexthop_reply);
	CHECK(enters(&s, &devices_only));
}

static struct denim_change ring[DENIM_CHANGES], pulled[DENIM_CHANGES];

static void push(struct changes *changes, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct denim_change change = { .kind = DENIM_CHANGE_LINK, .index = i };

		changes_push(changes, &change);
	}
}

static void the_ring_keeps_the_order(void)
{
	struct changes changes = { .ring = ring };
	uint32_t next = 0, taken = 0;

	CHECK(changes_pull(&changes, pulled, 10) == 0);
	for (int turn = 0; turn < 5; turn++) {
		push(&changes, next, next + 5000);
		next += 5000;
		CHECK(changes_pull(&changes, pulled, 0) == 0);
		for (uint32_t want = 3000; want > 0; want = changes.count) {
			uint32_t count = changes_pull(&changes, pulled, want);

			CHECK(count == want && !changes.lost);
			for (uint32_t i = 0; i < count; i++)
				CHECK(pulled[i].index == taken + i);
			taken += count;
		}
	}
	CHECK(taken == 25000);
}

static void a_full_ring_drops_all_and_goes_on(void)
{
	struct changes changes = { .ring = ring, .first = 17 };

	push(&changes, 0, DENIM_CHANGES);
	CHECK(!changes.lost && changes.count == DENIM_CHANGES);
	push(&changes, DENIM_CHANGES, DENIM_CHANGES + 2);
	CHECK(changes.lost && changes_pull(&changes, pulled, DENIM_CHANGES) == 2);
	CHECK(pulled[0].index == DENIM_CHANGES && pulled[1].index == DENIM_CHANGES + 1);
}

static struct denim_monitor *monitor;

static void begin(int error, int count, int end)
{
	int32_t result;

	memset(&queue, 0, sizeof(queue));
	queue.error = error;
	queue.count = count;
	queue.end = end;
	sample_init(&queue.sample);
	monitor = denim_monitor_start(OWN, &result);
	CHECK(monitor && result == 0);
}

static void finish(void)
{
	close(denim_monitor_pipe(monitor));
	denim_monitor_stop(monitor);
}

static uint32_t changed(uint32_t capacity, uint32_t *lost)
{
	*lost = 77;
	return (uint32_t)denim_monitor_changes(monitor, pulled, capacity, lost);
}

static void the_answer_has_what_is_queued(void)
{
	uint32_t lost;
	char byte;

	begin(EINTR, 3, EAGAIN);
	put_route_reply(&queue.sample.b, 0);
	put_vxlan_reply(&queue.sample.b, 0);
	CHECK(changed(4, &lost) == 4 && lost == 0 && queue.count == 0);
	CHECK(pulled[0].kind == DENIM_CHANGE_ROUTE && pulled[3].kind == DENIM_CHANGE_LINK);
	CHECK(changed(4, &lost) == 2 && lost == 0 && pulled[0].kind == DENIM_CHANGE_ROUTE);
	CHECK(changed(4, &lost) == 0 && lost == 0);
	CHECK(read(denim_monitor_pipe(monitor), &byte, 1) == 1);
	CHECK(denim_monitor_take(monitor) == (DENIM_EVENT_ROUTE | DENIM_EVENT_LINK));
	CHECK(read(denim_monitor_pipe(monitor), &byte, 1) == -1);
	finish();
}

static void an_overrun_is_told_and_what_follows_too(void)
{
	uint32_t lost;

	begin(ENOBUFS, 2, EAGAIN);
	put_route_reply(&queue.sample.b, 0);
	CHECK(changed(8, &lost) == 2 && lost == 1 && denim_monitor_take(monitor) & DENIM_EVENT_LOST);
	CHECK(changed(8, &lost) == 0 && lost == 0 && denim_monitor_take(monitor) == 0);
	finish();
}

/* Until the buffer has been empty the kernel may go on dropping, and does not say so again. */
static void an_overrun_lasts_until_the_buffer_was_empty(void)
{
	uint32_t lost;

	begin(ENOBUFS, ENDLESS, EAGAIN);
	put_done(&queue.sample.b, 0, 0);
	CHECK(changed(8, &lost) == 0 && lost == 1);
	CHECK(changed(8, &lost) == 0 && lost == 1);
	queue.count = 1;
	CHECK(changed(8, &lost) == 0 && lost == 1);
	CHECK(changed(8, &lost) == 0 && lost == 0);
	finish();
}

static void a_dead_socket_loses_everything(void)
{
	uint32_t lost;

	begin(0, 1, EBADF);
	put_route_reply(&queue.sample.b, 0);
	CHECK(changed(8, &lost) == 1 && lost == 1);
	CHECK(changed(8, &lost) == 0 && lost == 1 && denim_monitor_take(monitor) & DENIM_EVENT_LOST);
	finish();
}

static void a_monitor_that_nobody_takes_from_loses_once(void)
{
	uint32_t lost;

	begin(0, DENIM_CHANGES + 5, EAGAIN);
	put_route_reply(&queue.sample.b, 0);
	CHECK(changed(DENIM_CHANGES, &lost) == 5 && lost == 1);
	queue.count = DENIM_CHANGES;
	CHECK(changed(DENIM_CHANGES, &lost) == DENIM_CHANGES && lost == 0);
	finish();
}

static void a_monitor_watches_what_it_is_told_to(void)
{
	static const struct denim_prefix elsewhere = { .family = DENIM_V4, .length = 16, .address = { 10, 9 } };
	static const uint32_t eight[] = { 8 };
	uint32_t lost;

	begin(0, 1, EAGAIN);
	foreign_route(&queue.sample, 254, 0, 0);
	put_neighbour_reply(&queue.sample.b, 0);
	CHECK(changed(8, &lost) == 2 && denim_monitor_take(monitor) == (DENIM_EVENT_ROUTE | DENIM_EVENT_FDB));
	denim_monitor_watch(monitor, eight, 1, &elsewhere, 1);
	queue.count = 1;
	CHECK(changed(8, &lost) == 0 && denim_monitor_take(monitor) == (DENIM_EVENT_ROUTE | DENIM_EVENT_ELSEWHERE));
	finish();
}

int main(void)
{
	static const uint32_t others[] = { 6, 8 };

	watch_everything(&everything);
	watch_only(&devices_only, others, 2, NULL, 0);
	RUN(a_change_is_the_record_of_a_read);
	RUN(says_who_and_what_was_replaced);
	RUN(a_port_that_leaves_its_bridge_is_not_gone);
	RUN(dumps_take_nothing_that_is_gone);
	RUN(routes_that_count);
	RUN(routes_into_a_network_count);
	RUN(neighbours_count_on_watched_devices);
	RUN(the_ring_keeps_the_order);
	RUN(a_full_ring_drops_all_and_goes_on);
	RUN(the_answer_has_what_is_queued);
	RUN(an_overrun_is_told_and_what_follows_too);
	RUN(an_overrun_lasts_until_the_buffer_was_empty);
	RUN(a_dead_socket_loses_everything);
	RUN(a_monitor_that_nobody_takes_from_loses_once);
	RUN(a_monitor_watches_what_it_is_told_to);
	return 0;
}
