/* Reading links (RTM_NEWLINK). Applying them is in link_apply.c. */
#include "nl.h"

#include <linux/if.h>
#include <linux/if_link.h>
#include <string.h>

static void parse_info(const struct rtattr *info, struct denim_link *out)
{
	const struct rtattr *table[IFLA_INFO_MAX + 1];

	nl_nested(info, table, IFLA_INFO_MAX);
	nl_text(table[IFLA_INFO_KIND], out->type, sizeof(out->type));
	if (strcmp(out->type, "vxlan") == 0)
		vxlan_parse(table[IFLA_INFO_DATA], out);
}

bool link_parse(const struct nlmsghdr *message, void *record, const void *filter)
{
	const struct rtattr *table[IFLA_MAX + 1];
	struct denim_link *out = record;
	const struct ifinfomsg *header = nl_header(message, sizeof(*header));

	(void)filter;
	if (message->nlmsg_type != RTM_NEWLINK || !header)
		return false;
	nl_attributes(message, sizeof(*header), table, IFLA_MAX);
	memset(out, 0, sizeof(*out));
	out->index = (uint32_t)header->ifi_index;
	out->up = (header->ifi_flags & IFF_UP) != 0;
	out->mtu = nl_u32(table[IFLA_MTU], 0);
	out->has_mac = nl_mac(table[IFLA_ADDRESS], out->mac);
	nl_text(table[IFLA_IFNAME], out->name, sizeof(out->name));
	nl_text(table[IFLA_IFALIAS], out->alias, sizeof(out->alias));
	parse_info(table[IFLA_LINKINFO], out);
	return true;
}

int32_t denim_read_links(struct denim_netlink *nl, struct denim_link *out, uint32_t capacity)
{
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	struct nl_buffer request = nl_dump_begin(nl, RTM_GETLINK, &header, sizeof(header));
	struct nl_sink sink = {
		.records = (uint8_t *)out, .size = sizeof(*out), .capacity = capacity, .parse = link_parse
	};
	int result;

	nl_put_u32(&request, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	result = nl_dump(nl, &request, &sink);
	return result < 0 ? result : (int32_t)sink.count;
}
