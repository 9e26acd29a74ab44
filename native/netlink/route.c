/*
 * Routes (RTM_*ROUTE) of both families, and the kernel's answer for single addresses.
 *
 * A dump is filtered by table in the kernel where it can (NETLINK_GET_STRICT_CHK) and here in any case. Of a multipath route
 * only the number of paths is read.
 */
#include "nl.h"

#include <errno.h>
#include <string.h>

struct wanted {
	uint32_t table;
	uint8_t family;
};

static uint32_t count_paths(const struct rtattr *multipath)
{
	size_t rest;
	const uint8_t *at = nl_data(multipath, &rest);
	uint32_t count = 0;

	while (rest >= sizeof(struct rtnexthop)) {
		struct rtnexthop hop;
		size_t step;

		memcpy(&hop, at, sizeof(hop));
		step = RTNH_ALIGN((size_t)hop.rtnh_len);
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > rest)
			break;
		count++;
		if (step >= rest)
			break;
		at += step;
		rest -= step;
	}
	return count;
}

/* RTA_VIA: a gateway of the other family. */
static uint8_t via(const struct rtattr *attribute, uint8_t out[16])
{
	size_t size;
	const uint8_t *data = nl_data(attribute, &size);
	uint16_t af;
	uint8_t family;

	if (size < sizeof(af))
		return DENIM_NONE;
	memcpy(&af, data, sizeof(af));
	family = af == AF_INET ? DENIM_V4 : af == AF_INET6 ? DENIM_V6 : DENIM_NONE;
	if (family == DENIM_NONE || size - sizeof(af) < nl_address_length(family))
		return DENIM_NONE;
	memcpy(out, data + sizeof(af), nl_address_length(family));
	return family;
}

static void parse_attributes(const struct rtattr **table, struct denim_route *out)
{
	nl_address(table[RTA_DST], out->destination);
	out->gateway_family = table[RTA_VIA] ? via(table[RTA_VIA], out->gateway) : nl_address(table[RTA_GATEWAY], out->gateway);
	out->source_family = nl_address(table[RTA_PREFSRC], out->source);
	out->index = nl_u32(table[RTA_OIF], 0);
	out->metric = nl_u32(table[RTA_PRIORITY], 0);
	out->nexthop = nl_u32(table[RTA_NH_ID], 0);
	out->paths = count_paths(table[RTA_MULTIPATH]);
}

bool route_decode(const struct nlmsghdr *message, struct denim_route *out)
{
	const struct rtattr *table[RTA_MAX + 1];
	const struct rtmsg *header = nl_header(message, sizeof(*header));

	if (!header || nl_family(header->rtm_family) == DENIM_NONE)
		return false;
	nl_attributes(message, sizeof(*header), table, RTA_MAX);
	memset(out, 0, sizeof(*out));
	out->family = nl_family(header->rtm_family);
	out->length = header->rtm_dst_len;
	out->protocol = header->rtm_protocol;
	out->scope = header->rtm_scope;
	out->type = header->rtm_type;
	out->tos = header->rtm_tos;
	out->onlink = (header->rtm_flags & RTNH_F_ONLINK) != 0;
	out->table = nl_u32(table[RTA_TABLE], header->rtm_table);
	parse_attributes(table, out);
	return true;
}

bool route_is_cloned(const struct nlmsghdr *message)
{
	const struct rtmsg *header = nl_header(message, sizeof(*header));

	return header && (header->rtm_flags & RTM_F_CLONED) != 0;
}

bool route_parse(const struct nlmsghdr *message, void *record, const void *filter)
{
	const struct wanted *wanted = filter;
	struct denim_route *out = record;

	if (message->nlmsg_type != RTM_NEWROUTE || !route_decode(message, out))
		return false;
	if (wanted && (out->table != wanted->table || out->family != wanted->family))
		return false;
	return !wanted || !route_is_cloned(message);
}

static int dump(struct denim_netlink *nl, const struct wanted *wanted, struct nl_sink *sink)
{
	struct rtmsg header = { .rtm_family = nl_af(wanted->family) };
	struct nl_buffer request = nl_dump_begin(nl, RTM_GETROUTE, &header, sizeof(header));
	int result;

	nl_put_u32(&request, RTA_TABLE, wanted->table);
	sink->filter = wanted;
	result = nl_dump(nl, &request, sink);
	/* A table that nobody has used yet does not exist: it has no routes. */
	return result == -ENOENT || result == -EAFNOSUPPORT ? 0 : result;
}

int32_t denim_read_routes(struct denim_netlink *nl, uint32_t table, struct denim_route *out, uint32_t capacity)
{
	struct nl_sink sink = {
		.records = (uint8_t *)out, .size = sizeof(*out), .capacity = capacity, .parse = route_parse
	};
	struct wanted v4 = { .table = table, .family = DENIM_V4 };
	struct wanted v6 = { .table = table, .family = DENIM_V6 };
	int result = dump(nl, &v4, &sink);

	if (result == 0)
		result = dump(nl, &v6, &sink);
	return result < 0 ? result : (int32_t)sink.count;
}

static void put_gateway(struct nl_buffer *b, const struct denim_route *r)
{
	uint8_t data[2 + 16];
	uint16_t af = nl_af(r->gateway_family);
	size_t length = nl_address_length(r->gateway_family);

	if (r->gateway_family == r->family) {
		nl_put(b, RTA_GATEWAY, r->gateway, length);
	} else if (length > 0) {
		memcpy(data, &af, sizeof(af));
		memcpy(data + sizeof(af), r->gateway, length);
		nl_put(b, RTA_VIA, data, sizeof(af) + length);
	}
}

static void put_attributes(struct nl_buffer *b, const struct denim_route *r)
{
	if (r->length > 0)
		nl_put(b, RTA_DST, r->destination, nl_address_length(r->family));
	nl_put_u32(b, RTA_TABLE, r->table);
	if (r->nexthop != 0)
		nl_put_u32(b, RTA_NH_ID, r->nexthop);
	if (r->nexthop == 0 && r->paths == 0)
		put_gateway(b, r);
	if (r->nexthop == 0 && r->index != 0)
		nl_put_u32(b, RTA_OIF, r->index);
	if (r->source_family == r->family)
		nl_put(b, RTA_PREFSRC, r->source, nl_address_length(r->family));
	if (r->metric != 0)
		nl_put_u32(b, RTA_PRIORITY, r->metric);
}

static int build(struct nl_buffer *b, const void *record)
{
	const struct denim_route *r = record;
	bool delete = r->head.verb == DENIM_DELETE;
	struct rtmsg header = { .rtm_family = nl_af(r->family),
				.rtm_dst_len = r->length,
				.rtm_tos = r->tos,
				.rtm_protocol = r->protocol,
				.rtm_scope = r->scope,
				.rtm_type = r->type,
				.rtm_flags = r->onlink ? RTNH_F_ONLINK : 0 };

	if (r->family == DENIM_NONE || (r->paths > 0 && !delete))
		return -EINVAL;
	if (r->head.verb == DENIM_CREATE)
		nl_begin(b, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	else if (r->head.verb == DENIM_REPLACE)
		nl_begin(b, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));
	else if (delete)
		nl_begin(b, RTM_DELROUTE, NLM_F_ACK, &header, sizeof(header));
	else
		return -EINVAL;
	put_attributes(b, r);
	return 0;
}

int32_t denim_apply_routes(struct denim_netlink *nl, struct denim_route *records, uint32_t count)
{
	struct nl_batch batch = { .records = records, .size = sizeof(*records), .count = count, .build = build };

	return nl_run(nl, &batch);
}

static int build_question(struct nl_buffer *b, const void *record)
{
	const struct denim_route *r = record;
	size_t length = nl_address_length(r->family);
	struct rtmsg header = { .rtm_family = nl_af(r->family), .rtm_dst_len = (uint8_t)(8 * length) };

	if (length == 0)
		return -EINVAL;
	/* IPv6 tells the table unasked, and refuses the flag. */
	if (r->family == DENIM_V4)
		header.rtm_flags = RTM_F_LOOKUP_TABLE;
	nl_begin(b, RTM_GETROUTE, 0, &header, sizeof(header));
	nl_put(b, RTA_DST, r->destination, length);
	return 0;
}

static int take_answer(const struct nlmsghdr *message, void *record)
{
	struct denim_route answer;

	if (!route_parse(message, &answer, NULL))
		return -EBADMSG;
	answer.head = ((struct denim_route *)record)->head;
	memcpy(record, &answer, sizeof(answer));
	return 0;
}

int32_t denim_look_up(struct denim_netlink *nl, struct denim_route *records, uint32_t count)
{
	struct nl_batch batch = { .records = records, .size = sizeof(*records), .count = count };

	batch.build = build_question;
	batch.reply = take_answer;
	return nl_run(nl, &batch);
}
