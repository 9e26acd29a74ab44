/*
 * Everything that reads bytes from a netlink socket, on the real sources.
 *
 * The first byte chooses the parser and whether the rest is a whole datagram or the body of one message whose header is
 * right; the second way gets past the length checks at once. Each input is a heap block of its own size.
 */
#include "../netlink/nl.h"

#include <stdlib.h>
#include <string.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

enum { SEQUENCE = 1, RECORDS = 4, PORT = 4711 };

static const struct {
	uint16_t type;
	size_t size;
	bool (*parse)(const struct nlmsghdr *, void *, const void *);
} parsers[] = {
	{ RTM_NEWLINK, sizeof(struct denim_link), link_parse },
	{ RTM_NEWADDR, sizeof(struct denim_address), address_parse },
	{ RTM_NEWROUTE, sizeof(struct denim_route), route_parse },
	{ RTM_NEWNEXTHOP, sizeof(struct denim_nexthop), nexthop_parse },
	{ RTM_NEWNEIGH, sizeof(struct denim_neighbour), neighbour_parse },
	/* Only events bring these; no dump may take them. */
	{ RTM_DELROUTE, sizeof(struct denim_route), route_parse },
	{ RTM_DELNEXTHOP, sizeof(struct denim_nexthop), nexthop_parse },
	{ RTM_DELNEIGH, sizeof(struct denim_neighbour), neighbour_parse },
	{ RTM_DELLINK, sizeof(struct denim_link), link_parse },
	{ RTM_DELADDR, sizeof(struct denim_address), address_parse },
};

static int take_route(const struct nlmsghdr *message, void *record)
{
	return route_parse(message, record, NULL) ? 0 : -1;
}

/* Whatever is told, what comes out of the ring is a change that a caller can make sense of. */
static void watch_and_take(const uint8_t *bytes, size_t length)
{
	static struct denim_change ring[DENIM_CHANGES];
	static const uint32_t devices[] = { 1, 2, 3 };
	static const struct denim_prefix networks[] = {
		{ .family = DENIM_V4, .length = 13, .address = { 10, 8 } },
		{ .family = DENIM_V6, .length = 128, .address = { 0xfd } },
		{ .family = DENIM_V4, .length = 200 },
	};
	struct changes changes = { .ring = ring };
	struct watched watched;
	struct denim_change change;

	watch_everything(&watched);
	monitor_events(bytes, length, PORT, &watched, &changes);
	watch_only(&watched, devices, 3, networks, 3);
	monitor_events(bytes, length, PORT, &watched, &changes);
	while (changes_pull(&changes, &change, 1) == 1) {
		if (change.kind < DENIM_CHANGE_ROUTE || change.kind > DENIM_CHANGE_ADDRESS || change.flags > 0xf)
			abort();
	}
}

static void feed(size_t which, const uint8_t *bytes, size_t length)
{
	_Alignas(8) uint8_t records[RECORDS * NL_RECORD_MAX];
	struct denim_route questions[RECORDS];
	struct nl_sink sink = { .records = records, .capacity = RECORDS };
	struct nl_batch batch = { .records = questions, .size = sizeof(questions[0]), .count = RECORDS };
	bool again;

	sink.size = parsers[which].size;
	sink.parse = parsers[which].parse;
	nl_collect(&sink, SEQUENCE, bytes, length, &again);
	memset(questions, 0, sizeof(questions));
	for (int i = 0; i < RECORDS; i++)
		questions[i].head.result = 1;
	batch.reply = take_route;
	nl_match(&batch, 0, RECORDS, SEQUENCE, bytes, length);
	watch_and_take(bytes, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct nlmsghdr header = { .nlmsg_seq = SEQUENCE };
	size_t which, offset;
	uint8_t *bytes;

	if (length == 0)
		return 0;
	which = input[0] % (sizeof(parsers) / sizeof(parsers[0]));
	offset = input[0] & 0x80 ? 0 : sizeof(header);
	header.nlmsg_len = (uint32_t)(offset + length - 1);
	header.nlmsg_type = parsers[which].type;
	bytes = malloc(offset + length);
	if (!bytes)
		return 0;
	memcpy(bytes, &header, offset);
	memcpy(bytes + offset, input + 1, length - 1);
	feed(which, bytes, offset + length - 1);
	free(bytes);
	return 0;
}
