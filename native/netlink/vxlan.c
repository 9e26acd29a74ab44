/*
 * IFLA_VXLAN_*: the attributes of a vxlan device, both ways.
 *
 * On a change the kernel refuses the mere presence of attributes that cannot be changed (port, UDP checksums, miss
 * notifications …), equal value or not. So only what differs is sent, and the kernel decides about that.
 */
#include "nl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

static const struct {
	uint16_t attribute;
	uint32_t flag;
} switches[] = {
	{ IFLA_VXLAN_LEARNING, DENIM_VXLAN_LEARNING },
	{ IFLA_VXLAN_PROXY, DENIM_VXLAN_PROXY },
	{ IFLA_VXLAN_RSC, DENIM_VXLAN_RSC },
	{ IFLA_VXLAN_L2MISS, DENIM_VXLAN_L2MISS },
	{ IFLA_VXLAN_L3MISS, DENIM_VXLAN_L3MISS },
	{ IFLA_VXLAN_UDP_CSUM, DENIM_VXLAN_UDP_CSUM },
	{ IFLA_VXLAN_UDP_ZERO_CSUM6_TX, DENIM_VXLAN_ZERO_CSUM6_TX },
	{ IFLA_VXLAN_UDP_ZERO_CSUM6_RX, DENIM_VXLAN_ZERO_CSUM6_RX },
};

enum { SWITCHES = sizeof(switches) / sizeof(switches[0]) };

static uint8_t either(const struct rtattr *v4, const struct rtattr *v6, uint8_t out[16])
{
	return nl_address(v4 ? v4 : v6, out);
}

void vxlan_parse(const struct rtattr *data, struct denim_link *out)
{
	const struct rtattr *table[IFLA_VXLAN_MAX + 1];

	if (!data)
		return;
	nl_nested(data, table, IFLA_VXLAN_MAX);
	out->has_vxlan = 1;
	out->vni = nl_u32(table[IFLA_VXLAN_ID], 0);
	out->lower = nl_u32(table[IFLA_VXLAN_LINK], 0);
	out->ageing = nl_u32(table[IFLA_VXLAN_AGEING], 0);
	out->port = ntohs(nl_u16(table[IFLA_VXLAN_PORT], 0));
	out->ttl = nl_u8(table[IFLA_VXLAN_TTL], 0);
	out->tos = nl_u8(table[IFLA_VXLAN_TOS], 0);
	out->local_family = either(table[IFLA_VXLAN_LOCAL], table[IFLA_VXLAN_LOCAL6], out->local);
	out->group_family = either(table[IFLA_VXLAN_GROUP], table[IFLA_VXLAN_GROUP6], out->group);
	for (size_t i = 0; i < SWITCHES; i++) {
		if (nl_u8(table[switches[i].attribute], 0))
			out->vxlan_flags |= switches[i].flag;
	}
	if (table[IFLA_VXLAN_GBP])
		out->vxlan_flags |= DENIM_VXLAN_GBP;
}

static void put_address(struct nl_buffer *b, uint16_t v4, uint16_t v6, uint8_t family, const uint8_t address[16])
{
	if (family != DENIM_NONE)
		nl_put(b, family == DENIM_V6 ? v6 : v4, address, nl_address_length(family));
}

static bool same_address(uint8_t a_family, const uint8_t a[16], uint8_t b_family, const uint8_t b[16])
{
	return a_family == b_family && memcmp(a, b, nl_address_length(a_family)) == 0;
}

static void put_addresses(struct nl_buffer *b, const struct denim_link *want, const struct denim_link *have)
{
	if (!have || !same_address(want->local_family, want->local, have->local_family, have->local))
		put_address(b, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6, want->local_family, want->local);
	if (!have || !same_address(want->group_family, want->group, have->group_family, have->group))
		put_address(b, IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6, want->group_family, want->group);
}

static void put_switches(struct nl_buffer *b, const struct denim_link *want, const struct denim_link *have)
{
	for (size_t i = 0; i < SWITCHES; i++) {
		uint32_t flag = switches[i].flag;

		if (!have || ((want->vxlan_flags ^ have->vxlan_flags) & flag))
			nl_put_u8(b, switches[i].attribute, (want->vxlan_flags & flag) != 0);
	}
	if ((want->vxlan_flags & ~(have ? have->vxlan_flags : 0)) & DENIM_VXLAN_GBP)
		nl_put(b, IFLA_VXLAN_GBP, NULL, 0);
}

static void put_numbers(struct nl_buffer *b, const struct denim_link *want, const struct denim_link *have)
{
	if (!have || want->vni != have->vni)
		nl_put_u32(b, IFLA_VXLAN_ID, want->vni);
	if (want->lower != 0 && (!have || want->lower != have->lower))
		nl_put_u32(b, IFLA_VXLAN_LINK, want->lower);
	if (!have || want->ttl != have->ttl)
		nl_put_u8(b, IFLA_VXLAN_TTL, want->ttl);
	if (!have || want->tos != have->tos)
		nl_put_u8(b, IFLA_VXLAN_TOS, want->tos);
	if (want->ageing != 0 && (!have || want->ageing != have->ageing))
		nl_put_u32(b, IFLA_VXLAN_AGEING, want->ageing);
	if (want->port != 0 && (!have || want->port != have->port))
		nl_put_u16(b, IFLA_VXLAN_PORT, htons(want->port));
}

int vxlan_put(struct nl_buffer *b, const struct denim_link *want, const struct denim_link *have)
{
	size_t nest;

	/* GBP is an attribute without a value: it can be asked for, never taken back. */
	if (have && (have->vxlan_flags & ~want->vxlan_flags) & DENIM_VXLAN_GBP)
		return -EOPNOTSUPP;
	nest = nl_nest(b, IFLA_INFO_DATA);
	put_numbers(b, want, have);
	put_addresses(b, want, have);
	put_switches(b, want, have);
	nl_nest_end(b, nest);
	return 0;
}
