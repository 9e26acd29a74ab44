/* Addresses on links (RTM_*ADDR). A point-to-point peer's address is not read: ours is IFA_LOCAL. */
#include "nl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <string.h>

/* The rest of IFA_F_* is the kernel's to say. */
static const uint32_t settable =
	IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN | IFA_F_OPTIMISTIC;

bool address_parse(const struct nlmsghdr *message, void *record, const void *filter)
{
	const struct rtattr *table[IFA_MAX + 1];
	struct denim_address *out = record;
	const struct ifaddrmsg *header = nl_header(message, sizeof(*header));

	(void)filter;
	if (message->nlmsg_type != RTM_NEWADDR || !header || nl_family(header->ifa_family) == DENIM_NONE)
		return false;
	nl_attributes(message, sizeof(*header), table, IFA_MAX);
	memset(out, 0, sizeof(*out));
	out->index = header->ifa_index;
	out->length = header->ifa_prefixlen;
	out->scope = header->ifa_scope;
	out->flags = nl_u32(table[IFA_FLAGS], header->ifa_flags);
	out->family = nl_address(table[IFA_LOCAL] ? table[IFA_LOCAL] : table[IFA_ADDRESS], out->address);
	return out->family == nl_family(header->ifa_family);
}

int32_t denim_read_addresses(struct denim_netlink *nl, struct denim_address *out, uint32_t capacity)
{
	struct ifaddrmsg header = { .ifa_family = AF_UNSPEC };
	struct nl_buffer request = nl_dump_begin(nl, RTM_GETADDR, &header, sizeof(header));
	struct nl_sink sink = {
		.records = (uint8_t *)out, .size = sizeof(*out), .capacity = capacity, .parse = address_parse
	};
	int result = nl_dump(nl, &request, &sink);

	return result < 0 ? result : (int32_t)sink.count;
}

static int build(struct nl_buffer *b, const void *record)
{
	const struct denim_address *a = record;
	size_t length = nl_address_length(a->family);
	struct ifaddrmsg header = { .ifa_family = nl_af(a->family), .ifa_prefixlen = a->length, .ifa_scope = a->scope };

	header.ifa_index = a->index;
	if (length == 0)
		return -EINVAL;
	if (a->head.verb == DENIM_CREATE)
		nl_begin(b, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	else if (a->head.verb == DENIM_REPLACE)
		nl_begin(b, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));
	else if (a->head.verb == DENIM_DELETE)
		nl_begin(b, RTM_DELADDR, NLM_F_ACK, &header, sizeof(header));
	else
		return -EINVAL;
	nl_put(b, IFA_LOCAL, a->address, length);
	nl_put(b, IFA_ADDRESS, a->address, length);
	if (a->head.verb != DENIM_DELETE)
		nl_put_u32(b, IFA_FLAGS, a->flags & settable);
	return 0;
}

int32_t denim_apply_addresses(struct denim_netlink *nl, struct denim_address *records, uint32_t count)
{
	struct nl_batch batch = { .records = records, .size = sizeof(*records), .count = count, .build = build };

	return nl_run(nl, &batch);
}
