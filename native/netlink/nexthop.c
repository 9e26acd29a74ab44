/*
 * Nexthop objects (RTM_*NEXTHOP, linux/nexthop.h): where routes that name one by its id lead.
 *
 * Only the plain ones, one gateway on one device, can be made; of others it is read what they are, never more. Kernels
 * before Linux 5.3 have none: a read answers -EOPNOTSUPP there.
 */
#include "nl.h"

#include <errno.h>
#include <linux/nexthop.h>
#include <string.h>

static uint8_t special(const struct rtattr **table)
{
	return (table[NHA_BLACKHOLE] ? DENIM_NEXTHOP_BLACKHOLE : 0) | (table[NHA_GROUP] ? DENIM_NEXTHOP_GROUP : 0) |
	       (table[NHA_FDB] ? DENIM_NEXTHOP_FDB : 0) | (table[NHA_ENCAP] ? DENIM_NEXTHOP_ENCAP : 0);
}

bool nexthop_decode(const struct nlmsghdr *message, struct denim_nexthop *out)
{
	const struct rtattr *table[NHA_FDB + 1];
	const struct nhmsg *header = nl_header(message, sizeof(*header));

	if (!header)
		return false;
	nl_attributes(message, sizeof(*header), table, NHA_FDB);
	memset(out, 0, sizeof(*out));
	out->id = nl_u32(table[NHA_ID], 0);
	out->index = nl_u32(table[NHA_OIF], 0);
	out->family = nl_family(header->nh_family);
	out->gateway_family = nl_address(table[NHA_GATEWAY], out->gateway);
	out->protocol = header->nh_protocol;
	out->onlink = (header->nh_flags & RTNH_F_ONLINK) != 0;
	out->special = special(table);
	return out->id != 0;
}

bool nexthop_parse(const struct nlmsghdr *message, void *record, const void *filter)
{
	(void)filter;
	return message->nlmsg_type == RTM_NEWNEXTHOP && nexthop_decode(message, record);
}

int32_t denim_read_nexthops(struct denim_netlink *nl, struct denim_nexthop *out, uint32_t capacity)
{
	struct nhmsg header = { .nh_family = AF_UNSPEC };
	struct nl_buffer request = nl_dump_begin(nl, RTM_GETNEXTHOP, &header, sizeof(header));
	struct nl_sink sink = {
		.records = (uint8_t *)out, .size = sizeof(*out), .capacity = capacity, .parse = nexthop_parse
	};
	int result = nl_dump(nl, &request, &sink);

	/* How a kernel answers to a message type that it has never heard of, or has no handler for. */
	if (result == -EINVAL)
		result = -EOPNOTSUPP;
	return result < 0 ? result : (int32_t)sink.count;
}

/* The kernel finds what to delete by the id and refuses a header that says more. */
static int build(struct nl_buffer *b, const void *record)
{
	const struct denim_nexthop *n = record;
	bool delete = n->head.verb == DENIM_DELETE;
	struct nhmsg header = { 0 };

	if (n->id == 0 || (!delete && (n->special || n->family == DENIM_NONE || n->gateway_family != n->family)))
		return -EINVAL;
	if (!delete) {
		header.nh_family = nl_af(n->family);
		header.nh_protocol = n->protocol;
		header.nh_flags = n->onlink ? RTNH_F_ONLINK : 0;
	}
	if (n->head.verb == DENIM_CREATE)
		nl_begin(b, RTM_NEWNEXTHOP, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	else if (n->head.verb == DENIM_REPLACE)
		nl_begin(b, RTM_NEWNEXTHOP, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));
	else if (delete)
		nl_begin(b, RTM_DELNEXTHOP, NLM_F_ACK, &header, sizeof(header));
	else
		return -EINVAL;
	nl_put_u32(b, NHA_ID, n->id);
	if (!delete) {
		nl_put_u32(b, NHA_OIF, n->index);
		nl_put(b, NHA_GATEWAY, n->gateway, nl_address_length(n->gateway_family));
	}
	return 0;
}

int32_t denim_apply_nexthops(struct denim_netlink *nl, struct denim_nexthop *records, uint32_t count)
{
	struct nl_batch batch = { .records = records, .size = sizeof(*records), .count = count, .build = build };

	return nl_run(nl, &batch);
}
