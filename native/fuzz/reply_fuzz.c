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

enum { SEQUENCE = 1, RECORDS = 4 };

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
};

static int take_route(const struct nlmsghdr *message, void *record)
{
	return route_parse(message, record, NULL) ? 0 : -1;
}

static void feed(size_t which, const uint8_t *bytes, size_t length)
{
	_Alignas(8) uint8_t records[RECORDS * NL_RECORD_MAX];
	struct denim_route questions[RECORDS];
	struct nl_sink sink = { .records = records, .capacity = RECORDS };
	struct nl_batch batch = { .records = questions, .size = sizeof(questions[0]), .count = RECORDS };
	const uint32_t devices[] = { 1, 2, 3 };
	bool again;

	sink.size = parsers[which].size;
	sink.parse = parsers[which].parse;
	nl_collect(&sink, SEQUENCE, bytes, length, &again);
	memset(questions, 0, sizeof(questions));
	for (int i = 0; i < RECORDS; i++)
		questions[i].head.result = 1;
	batch.reply = take_route;
	nl_match(&batch, 0, RECORDS, SEQUENCE, bytes, length);
	monitor_events(bytes, length, 4711, devices, 3);
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
