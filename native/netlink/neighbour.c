/*
 * Neighbours (ARP, ND) and forwarding entries (FDB): one message type, told apart by the family.
 *
 * Dumps ask for one device at a time: neighbour tables take the device as NDA_IFINDEX, the FDB takes it in the header, as
 * `bridge fdb show dev` does. Kernels that ignore either send everything; it is filtered here in any case.
 */
#include "nl.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>

struct wanted {
	uint32_t index;
	uint8_t table;
};

static uint8_t af_of(uint8_t table)
{
	return table == DENIM_FDB ? AF_BRIDGE : table == DENIM_NEIGHBOUR_V6 ? AF_INET6 : AF_INET;
}

static uint8_t table_of(uint8_t af)
{
	return af == AF_BRIDGE ? DENIM_FDB : nl_family(af);
}

bool neighbour_decode(const struct nlmsghdr *message, struct denim_neighbour *out)
{
	const struct rtattr *table[NDA_MAX + 1];
	const struct ndmsg *header = nl_header(message, sizeof(*header));

	if (!header || table_of(header->ndm_family) == 0)
		return false;
	nl_attributes(message, sizeof(*header), table, NDA_MAX);
	memset(out, 0, sizeof(*out));
	out->index = (uint32_t)header->ndm_ifindex;
	out->state = header->ndm_state;
	out->flags = header->ndm_flags;
	out->table = table_of(header->ndm_family);
	out->protocol = nl_u8(table[NDA_PROTOCOL], 0);
	out->has_mac = nl_mac(table[NDA_LLADDR], out->mac);
	out->address_family = nl_address(table[NDA_DST], out->address);
	return true;
}

bool neighbour_parse(const struct nlmsghdr *message, void *record, const void *filter)
{
	const struct wanted *wanted = filter;
	struct denim_neighbour *out = record;

	if (message->nlmsg_type != RTM_NEWNEIGH || !neighbour_decode(message, out))
		return false;
	return !wanted || (out->index == wanted->index && out->table == wanted->table);
}

static int dump(struct denim_netlink *nl, const struct wanted *wanted, struct nl_sink *sink)
{
	struct ndmsg header = { .ndm_family = af_of(wanted->table) };
	struct nl_buffer request;

	if (wanted->table == DENIM_FDB)
		header.ndm_ifindex = (int)wanted->index;
	request = nl_dump_begin(nl, RTM_GETNEIGH, &header, sizeof(header));
	if (wanted->table != DENIM_FDB)
		nl_put_u32(&request, NDA_IFINDEX, wanted->index);
	sink->filter = wanted;
	return nl_dump(nl, &request, sink);
}

int32_t denim_read_neighbours(struct denim_netlink *nl, const uint32_t *indexes, uint32_t index_count,
			      struct denim_neighbour *out, uint32_t capacity)
{
	static const uint8_t tables[] = { DENIM_NEIGHBOUR_V4, DENIM_NEIGHBOUR_V6, DENIM_FDB };
	struct nl_sink sink = {
		.records = (uint8_t *)out, .size = sizeof(*out), .capacity = capacity, .parse = neighbour_parse
	};
	int result = 0;

	for (uint32_t i = 0; i < index_count; i++) {
		for (size_t t = 0; t < sizeof(tables) && result == 0; t++) {
			struct wanted wanted = { .index = indexes[i], .table = tables[t] };

			result = dump(nl, &wanted, &sink);
			if (result == -ENODEV || result == -EAFNOSUPPORT)
				result = 0;
		}
	}
	return result < 0 ? result : (int32_t)sink.count;
}

static int build(struct nl_buffer *b, const void *record)
{
	const struct denim_neighbour *n = record;
	struct ndmsg header = { .ndm_family = af_of(n->table),
				.ndm_ifindex = (int)n->index,
				.ndm_state = n->state,
				.ndm_flags = n->flags,
				.ndm_type = RTN_UNICAST };

	if (n->head.verb == DENIM_CREATE)
		nl_begin(b, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	else if (n->head.verb == DENIM_REPLACE)
		nl_begin(b, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));
	else if (n->head.verb == DENIM_DELETE)
		nl_begin(b, RTM_DELNEIGH, NLM_F_ACK, &header, sizeof(header));
	else
		return -EINVAL;
	if (n->address_family != DENIM_NONE)
		nl_put(b, NDA_DST, n->address, nl_address_length(n->address_family));
	if (n->has_mac)
		nl_put(b, NDA_LLADDR, n->mac, sizeof(n->mac));
	if (n->protocol != 0 && n->table != DENIM_FDB)
		nl_put_u8(b, NDA_PROTOCOL, n->protocol);
	return 0;
}

int32_t denim_apply_neighbours(struct denim_netlink *nl, struct denim_neighbour *records, uint32_t count)
{
	struct nl_batch batch = { .records = records, .size = sizeof(*records), .count = count, .build = build };

	return nl_run(nl, &batch);
}
