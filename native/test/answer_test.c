/* Matching answers to records, collecting dumps, telling events apart: everything between the socket and the parsers. */
#include "check.h"
#include "messages.h"

#include <errno.h>

enum { PENDING = 1 };

static void pend(struct denim_route *records, uint32_t count)
{
	memset(records, 0, count * sizeof(*records));
	for (uint32_t i = 0; i < count; i++)
		records[i].head.result = PENDING;
}

static struct nl_batch batch_of(struct denim_route *records, uint32_t count)
{
	return (struct nl_batch){ .records = records, .size = sizeof(*records), .count = count };
}

static void matches_answers_in_any_order(void)
{
	struct sample s;
	struct denim_route records[4];
	struct nl_batch batch = batch_of(records, 4);

	pend(records, 4);
	sample_init(&s);
	put_error(&s.b, 102, -EEXIST);
	put_error(&s.b, 100, 0);
	put_error(&s.b, 100, -EPERM); /* a second answer to the same request says nothing */
	put_error(&s.b, 99, -EPERM);
	put_error(&s.b, 104, -EPERM);
	CHECK(nl_match(&batch, 0, 4, 100, s.bytes, s.b.length) == 2);
	CHECK(records[0].head.result == 0 && records[1].head.result == PENDING);
	CHECK(records[2].head.result == -EEXIST && records[3].head.result == PENDING);
}

static void matches_across_the_end_of_the_sequence(void)
{
	struct sample s;
	struct denim_route records[3];
	struct nl_batch batch = batch_of(records, 3);

	pend(records, 3);
	sample_init(&s);
	put_error(&s.b, UINT32_MAX, -ENOENT);
	put_error(&s.b, 0, 0);
	put_error(&s.b, 1, -ESRCH);
	CHECK(nl_match(&batch, 0, 3, UINT32_MAX, s.bytes, s.b.length) == 3);
	CHECK(records[0].head.result == -ENOENT && records[2].head.result == -ESRCH);
}

static void a_short_error_is_a_bad_message(void)
{
	struct sample s;
	struct denim_route record;
	struct nl_batch batch = batch_of(&record, 1);

	pend(&record, 1);
	sample_init(&s);
	nl_begin(&s.b, NLMSG_ERROR, 0, "", 0);
	nl_end(&s.b, 5);
	CHECK(nl_match(&batch, 0, 1, 5, s.bytes, s.b.length) == 1 && record.head.result == -EBADMSG);
}

static struct nl_sink sink_of(struct denim_route *records, uint32_t capacity)
{
	return (struct nl_sink){ .records = (uint8_t *)records,
				 .size = sizeof(*records),
				 .capacity = capacity,
				 .parse = route_parse };
}

static void counts_what_does_not_fit(void)
{
	struct sample s;
	struct denim_route records[2];
	struct nl_sink sink = sink_of(records, 1);
	bool again = false;

	memset(records, 0xee, sizeof(records));
	sample_init(&s);
	put_route_reply(&s.b, 9);
	put_route_reply(&s.b, 9);
	put_route_reply(&s.b, 8); /* of an earlier dump */
	put_done(&s.b, 9, 0);
	CHECK(nl_collect(&sink, 9, s.bytes, s.b.length, &again) == NL_DONE);
	CHECK(sink.count == 2 && !again && records[0].length == 24 && records[1].length == 0xee);
}

static void sees_interruptions_and_refusals(void)
{
	struct sample s;
	struct denim_route record;
	struct nl_sink sink = sink_of(&record, 1);
	bool again = false;
	struct nlmsghdr header;

	sample_init(&s);
	put_route_reply(&s.b, 9);
	memcpy(&header, s.bytes, sizeof(header));
	header.nlmsg_flags |= NLM_F_DUMP_INTR;
	memcpy(s.bytes, &header, sizeof(header));
	CHECK(nl_collect(&sink, 9, s.bytes, s.b.length, &again) == NL_MORE && again);
	sample_init(&s);
	put_done(&s.b, 9, -ENODEV);
	CHECK(nl_collect(&sink, 9, s.bytes, s.b.length, &again) == -ENODEV);
	sample_init(&s);
	put_error(&s.b, 9, -EPERM);
	CHECK(nl_collect(&sink, 9, s.bytes, s.b.length, &again) == -EPERM);
}

static uint32_t events_of(const struct sample *s, uint32_t own_port, const struct watched *watched)
{
	static struct denim_change ring[DENIM_CHANGES];
	struct changes changes = { .ring = ring };

	return monitor_events(s->bytes, s->b.length, own_port, watched, &changes);
}

static void tells_events_apart(void)
{
	struct sample s;
	struct watched ours = { .devices = { 7 }, .device_count = 1 };
	struct watched others = { .devices = { 8 }, .device_count = 1 };
	struct watched all = { .device_count = 1000 };

	sample_init(&s);
	put_neighbour_reply(&s.b, 0);
	CHECK(events_of(&s, 0, &ours) == DENIM_EVENT_FDB);
	CHECK(events_of(&s, 0, &others) == 0);
	CHECK(events_of(&s, 0, &all) == DENIM_EVENT_FDB);
	put_route_reply(&s.b, 0);
	put_vxlan_reply(&s.b, 0);
	put_address_reply(&s.b, 0);
	put_nexthop_reply(&s.b, 0);
	CHECK(events_of(&s, 0, &others) ==
	      (DENIM_EVENT_ROUTE | DENIM_EVENT_LINK | DENIM_EVENT_ADDRESS | DENIM_EVENT_NEXTHOP));
}

static void leaves_out_our_own_changes(void)
{
	struct sample s;
	struct nlmsghdr header;
	struct watched nothing = { 0 };

	sample_init(&s);
	put_route_reply(&s.b, 0);
	memcpy(&header, s.bytes, sizeof(header));
	header.nlmsg_pid = 4711;
	memcpy(s.bytes, &header, sizeof(header));
	CHECK(events_of(&s, 4711, &nothing) == 0);
	CHECK(events_of(&s, 4712, &nothing) == DENIM_EVENT_ROUTE);
}

static void writes_only_vxlan_settings_that_differ(void)
{
	struct sample s;
	struct denim_link have = { .has_vxlan = 1, .vni = 1, .port = 8472, .vxlan_flags = DENIM_VXLAN_UDP_CSUM };
	struct denim_link want = have;

	sample_init(&s);
	CHECK(vxlan_put(&s.b, &want, &have) == 0 && s.b.length == RTA_LENGTH(0));
	want.ttl = 3;
	want.port = 0; /* leave it */
	sample_init(&s);
	CHECK(vxlan_put(&s.b, &want, &have) == 0 && s.b.length == RTA_LENGTH(0) + RTA_SPACE(1));
	have.vxlan_flags |= DENIM_VXLAN_GBP;
	CHECK(vxlan_put(&s.b, &want, &have) == -EOPNOTSUPP);
}

static void overflow_sticks(void)
{
	uint8_t bytes[40];
	struct nl_buffer b = { .bytes = bytes, .capacity = sizeof(bytes) };
	struct rtmsg header = { 0 };

	nl_begin(&b, RTM_NEWROUTE, 0, &header, sizeof(header));
	nl_put_u32(&b, 1, 1);
	CHECK(!b.overflow);
	nl_put_u32(&b, 1, 1);
	CHECK(b.overflow);
	nl_nest_end(&b, nl_nest(&b, 1));
	nl_end(&b, 1);
	CHECK(b.overflow && b.length <= sizeof(bytes));
}

int main(void)
{
	RUN(matches_answers_in_any_order);
	RUN(matches_across_the_end_of_the_sequence);
	RUN(a_short_error_is_a_bad_message);
	RUN(counts_what_does_not_fit);
	RUN(sees_interruptions_and_refusals);
	RUN(tells_events_apart);
	RUN(leaves_out_our_own_changes);
	RUN(writes_only_vxlan_settings_that_differ);
	RUN(overflow_sticks);
	return 0;
}
