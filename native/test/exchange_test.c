/*
 * Whole exchanges with a kernel that is played by this test: its answers are queued on a socket pair before they are asked
 * for. So what the real kernel does rarely can be had every time: interrupted dumps, lost answers.
 */
#include "check.h"
#include "messages.h"

#include <errno.h>
#include <sys/time.h>
#include <unistd.h>

enum { SEQUENCE = 41 };

static struct denim_netlink nl;
static int kernel;

static void open_exchange(void)
{
	struct timeval short_patience = { .tv_usec = 20000 };
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &short_patience, sizeof(short_patience)) == 0);
	nl.fd = ends[0];
	nl.sequence = SEQUENCE;
	nl.batch_max = 3;
	kernel = ends[1];
}

static void close_exchange(void)
{
	close(nl.fd);
	close(kernel);
}

static void say(const struct sample *s)
{
	CHECK(send(kernel, s->bytes, s->b.length, 0) == (ssize_t)s->b.length);
}

/* How many messages the next request datagram holds; 0 where there is none. */
static uint32_t heard(void)
{
	_Alignas(8) uint8_t bytes[NL_SEND_SIZE];
	ssize_t length = recv(kernel, bytes, sizeof(bytes), MSG_DONTWAIT);
	uint32_t count = 0;
	size_t rest;

	if (length <= 0)
		return 0;
	for (const struct nlmsghdr *m = nl_first(bytes, (size_t)length, &rest); m; m = nl_next(m, &rest))
		count++;
	return count;
}

static void say_dump(uint32_t sequence, uint32_t routes, uint16_t flags)
{
	struct sample s;
	struct nlmsghdr header;

	sample_init(&s);
	for (uint32_t i = 0; i < routes; i++)
		put_route_reply(&s.b, sequence);
	memcpy(&header, s.bytes, sizeof(header));
	header.nlmsg_flags |= flags;
	memcpy(s.bytes, &header, sizeof(header));
	say(&s);
	sample_init(&s);
	put_done(&s.b, sequence, 0);
	say(&s);
}

static int dump_routes(struct denim_route *records, uint32_t capacity, uint32_t *count)
{
	struct rtmsg header = { .rtm_family = AF_INET };
	struct nl_buffer request = nl_dump_begin(&nl, RTM_GETROUTE, &header, sizeof(header));
	struct nl_sink sink = {
		.records = (uint8_t *)records, .size = sizeof(*records), .capacity = capacity, .parse = route_parse
	};
	int result = nl_dump(&nl, &request, &sink);

	*count = sink.count;
	return result;
}

static void an_interrupted_dump_is_asked_for_again(void)
{
	struct denim_route records[8];
	uint32_t count;

	open_exchange();
	say_dump(SEQUENCE, 5, NLM_F_DUMP_INTR);
	say_dump(SEQUENCE + 1, 3, 0);
	CHECK(dump_routes(records, 8, &count) == 0 && count == 3);
	CHECK(heard() == 1 && heard() == 1 && heard() == 0);
	close_exchange();
}

static void a_dump_that_never_settles_ends(void)
{
	struct denim_route records[1];
	uint32_t count;

	open_exchange();
	for (uint32_t i = 0; i < NL_DUMP_ATTEMPTS; i++)
		say_dump(SEQUENCE + i, 1, NLM_F_DUMP_INTR);
	CHECK(dump_routes(records, 1, &count) == -EAGAIN);
	close_exchange();
}

static void a_refused_dump_is_an_error(void)
{
	struct denim_route records[1];
	struct sample s;
	uint32_t count;

	open_exchange();
	sample_init(&s);
	put_error(&s.b, SEQUENCE, -EPERM);
	say(&s);
	CHECK(dump_routes(records, 1, &count) == -EPERM);
	close_exchange();
}

/* An old kernel's answers to a message type it does not know; any other refusal stays what it is. */
static void a_kernel_without_nexthops_says_so(void)
{
	static const int errors[][2] = {
		{ -EOPNOTSUPP, -EOPNOTSUPP }, { -EINVAL, -EOPNOTSUPP }, { -EPERM, -EPERM }
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct denim_nexthop records[1];
		struct sample s;

		open_exchange();
		sample_init(&s);
		put_error(&s.b, SEQUENCE, errors[i][0]);
		say(&s);
		CHECK(denim_read_nexthops(&nl, records, 1) == errors[i][1]);
		close_exchange();
	}
}

static int build(struct nl_buffer *b, const void *record)
{
	const struct denim_head *head = record;
	struct rtmsg header = { .rtm_family = AF_INET };

	if (head->verb == 0)
		return -EINVAL;
	nl_begin(b, RTM_NEWROUTE, NLM_F_ACK, &header, sizeof(header));
	return 0;
}

static void answer(uint32_t sequence, int error)
{
	struct sample s;

	sample_init(&s);
	put_error(&s.b, sequence, error);
	say(&s);
}

/* Five records, three a batch at most; the second is refused before it is sent, the answer to the fifth gets lost. */
static void a_batch_is_split_and_a_lost_answer_is_told(void)
{
	struct denim_head records[5] = { { 1, 0 }, { 0, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } };
	struct nl_batch batch = { .records = records, .size = sizeof(records[0]), .count = 5, .build = build };

	open_exchange();
	answer(SEQUENCE + 2, -EEXIST);
	answer(SEQUENCE, 0);
	answer(SEQUENCE + 3, -ENOENT);
	CHECK(nl_run(&nl, &batch) == 0);
	CHECK(records[0].result == 0 && records[1].result == -EINVAL && records[2].result == -EEXIST);
	CHECK(records[3].result == -ENOENT && records[4].result == -ENOBUFS);
	CHECK(heard() == 2 && heard() == 2 && heard() == 0);
	close_exchange();
}

static void a_dead_socket_fails_every_record(void)
{
	struct denim_head records[5] = { { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } };
	struct nl_batch batch = { .records = records, .size = sizeof(records[0]), .count = 5, .build = build };
	int result;

	open_exchange();
	close_exchange();
	result = nl_run(&nl, &batch);
	CHECK(result == -EBADF);
	for (int i = 0; i < 5; i++)
		CHECK(records[i].result == -EBADF);
}

int main(void)
{
	RUN(an_interrupted_dump_is_asked_for_again);
	RUN(a_dump_that_never_settles_ends);
	RUN(a_refused_dump_is_an_error);
	RUN(a_kernel_without_nexthops_says_so);
	RUN(a_batch_is_split_and_a_lost_answer_is_told);
	RUN(a_dead_socket_fails_every_record);
	return 0;
}
