/* Replies as the kernel would send them, for the tests: written with the library's own writer. */
#ifndef DENIM_TEST_MESSAGES_H
#define DENIM_TEST_MESSAGES_H

#include "../netlink/nl.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <string.h>

struct sample {
	_Alignas(8) uint8_t bytes[4096];
	struct nl_buffer b;
};

static inline void sample_init(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	s->b = (struct nl_buffer){ .bytes = s->bytes, .capacity = sizeof(s->bytes) };
}

static inline void put_vxlan_reply(struct nl_buffer *b, uint32_t sequence)
{
	struct ifinfomsg header = { .ifi_index = 7, .ifi_flags = IFF_UP };
	size_t info, data;

	nl_begin(b, RTM_NEWLINK, NLM_F_MULTI, &header, sizeof(header));
	nl_put_text(b, IFLA_IFNAME, "flannel.1", 16);
	nl_put_text(b, IFLA_IFALIAS, "denim:default", 256);
	nl_put_u32(b, IFLA_MTU, 1450);
	nl_put(b, IFLA_ADDRESS, "\x02\x01\x02\x03\x04\x05", 6);
	info = nl_nest(b, IFLA_LINKINFO);
	nl_put_text(b, IFLA_INFO_KIND, "vxlan", 16);
	data = nl_nest(b, IFLA_INFO_DATA);
	nl_put_u32(b, IFLA_VXLAN_ID, 1);
	nl_put_u32(b, IFLA_VXLAN_LINK, 2);
	nl_put(b, IFLA_VXLAN_LOCAL, "\x0a\x00\x00\x01", 4);
	nl_put_u16(b, IFLA_VXLAN_PORT, htons(8472));
	nl_put_u32(b, IFLA_VXLAN_AGEING, 300);
	nl_put_u8(b, IFLA_VXLAN_UDP_CSUM, 1);
	nl_put(b, IFLA_VXLAN_GBP, NULL, 0);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
	nl_end(b, sequence);
}

static inline void put_address_reply(struct nl_buffer *b, uint32_t sequence)
{
	struct ifaddrmsg header = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 7 };

	nl_begin(b, RTM_NEWADDR, NLM_F_MULTI, &header, sizeof(header));
	nl_put(b, IFA_ADDRESS, "\x0a\x05\x01\x00", 4);
	nl_put(b, IFA_LOCAL, "\x0a\x05\x01\x00", 4);
	nl_put_u32(b, IFA_FLAGS, IFA_F_PERMANENT);
	nl_end(b, sequence);
}

static inline void put_route_reply(struct nl_buffer *b, uint32_t sequence)
{
	struct rtmsg header = {
		.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_protocol = 85, .rtm_type = 1, .rtm_flags = RTNH_F_ONLINK
	};

	nl_begin(b, RTM_NEWROUTE, NLM_F_MULTI, &header, sizeof(header));
	nl_put(b, RTA_DST, "\x0a\x05\x02\x00", 4);
	nl_put(b, RTA_GATEWAY, "\x0a\x05\x02\x00", 4);
	nl_put_u32(b, RTA_OIF, 7);
	nl_put_u32(b, RTA_TABLE, 254);
	nl_end(b, sequence);
}

/* Two paths, and a gateway of the other family. */
static inline void put_multipath_reply(struct nl_buffer *b, uint32_t sequence)
{
	struct rtmsg header = { .rtm_family = AF_INET, .rtm_table = 254, .rtm_type = 1 };
	struct rtnexthop hops[2] = { { .rtnh_len = sizeof(hops[0]) }, { .rtnh_len = sizeof(hops[0]) } };
	uint8_t via[2 + 16] = { AF_INET6, 0, 0xfd };

	nl_begin(b, RTM_NEWROUTE, NLM_F_MULTI, &header, sizeof(header));
	nl_put(b, RTA_MULTIPATH, hops, sizeof(hops));
	nl_put(b, RTA_VIA, via, sizeof(via));
	nl_end(b, sequence);
}

static inline void put_nexthop_reply(struct nl_buffer *b, uint32_t sequence)
{
	struct nhmsg header = { .nh_family = AF_INET, .nh_scope = 253, .nh_protocol = 85, .nh_flags = RTNH_F_ONLINK };

	nl_begin(b, RTM_NEWNEXTHOP, NLM_F_MULTI, &header, sizeof(header));
	nl_put_u32(b, NHA_ID, 0x40000001);
	nl_put_u32(b, NHA_OIF, 7);
	nl_put(b, NHA_GATEWAY, "\x0a\x05\x02\x00", 4);
	nl_end(b, sequence);
}

/* An object that holds nothing but its id and one attribute more. */
static inline void put_special_nexthop_reply(struct nl_buffer *b, uint16_t attribute)
{
	struct nhmsg header = { .nh_family = AF_INET };

	nl_begin(b, RTM_NEWNEXTHOP, NLM_F_MULTI, &header, sizeof(header));
	nl_put_u32(b, NHA_ID, 9);
	nl_put(b, attribute, NULL, 0);
	nl_end(b, 1);
}

static inline void put_neighbour_reply(struct nl_buffer *b, uint32_t sequence)
{
	struct ndmsg header = {
		.ndm_family = AF_BRIDGE, .ndm_ifindex = 7, .ndm_state = NUD_PERMANENT, .ndm_flags = NTF_SELF
	};

	nl_begin(b, RTM_NEWNEIGH, NLM_F_MULTI, &header, sizeof(header));
	nl_put(b, NDA_LLADDR, "\x02\x00\x00\x00\x00\x02", 6);
	nl_put(b, NDA_DST, "\x0a\x00\x00\x02", 4);
	nl_end(b, sequence);
}

static inline void put_error(struct nl_buffer *b, uint32_t sequence, int error)
{
	struct nlmsgerr body = { .error = error };

	nl_begin(b, NLMSG_ERROR, 0, &body, sizeof(body));
	nl_end(b, sequence);
}

static inline void put_done(struct nl_buffer *b, uint32_t sequence, int error)
{
	nl_begin(b, NLMSG_DONE, NLM_F_MULTI, &error, sizeof(error));
	nl_end(b, sequence);
}

#endif
