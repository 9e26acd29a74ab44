/*
 * The parsers: what they read from whole messages, and that cut or lying messages are passed over. Every truncation gets a
 * heap block of exactly its size, so that the sanitizer sees the first byte read beyond it.
 */
#include "check.h"
#include "messages.h"

static const struct nlmsghdr *first(struct sample *s)
{
	size_t rest;

	return nl_first(s->bytes, s->b.length, &rest);
}

static void reads_a_vxlan_link(void)
{
	struct sample s;
	struct denim_link link;

	sample_init(&s);
	put_vxlan_reply(&s.b, 1);
	CHECK(link_parse(first(&s), &link, NULL));
	CHECK(link.index == 7 && link.up == 1 && link.mtu == 1450 && link.has_mac && link.mac[5] == 5);
	CHECK(strcmp(link.name, "flannel.1") == 0 && strcmp(link.type, "vxlan") == 0);
	CHECK(strcmp(link.alias, "denim:default") == 0);
	CHECK(link.has_vxlan && link.vni == 1 && link.lower == 2 && link.port == 8472 && link.ageing == 300);
	CHECK(link.local_family == DENIM_V4 && link.local[0] == 10 && link.group_family == DENIM_NONE);
	CHECK(link.vxlan_flags == (DENIM_VXLAN_UDP_CSUM | DENIM_VXLAN_GBP));
}

static void reads_an_address(void)
{
	struct sample s;
	struct denim_address address;

	sample_init(&s);
	put_address_reply(&s.b, 1);
	CHECK(address_parse(first(&s), &address, NULL));
	CHECK(address.index == 7 && address.family == DENIM_V4 && address.length == 32 && address.address[1] == 5);
}

static void reads_routes(void)
{
	struct sample s;
	struct denim_route route;

	sample_init(&s);
	put_route_reply(&s.b, 1);
	CHECK(route_parse(first(&s), &route, NULL));
	CHECK(route.family == DENIM_V4 && route.length == 24 && route.destination[2] == 2 && route.onlink == 1);
	CHECK(route.gateway_family == DENIM_V4 && route.index == 7 && route.table == 254 && route.protocol == 85);
	CHECK(route.paths == 0);
	sample_init(&s);
	put_multipath_reply(&s.b, 1);
	CHECK(route_parse(first(&s), &route, NULL));
	CHECK(route.paths == 2 && route.gateway_family == DENIM_V6 && route.gateway[0] == 0xfd && route.table == 254);
}

static void reads_an_fdb_entry(void)
{
	struct sample s;
	struct denim_neighbour neighbour;

	sample_init(&s);
	put_neighbour_reply(&s.b, 1);
	CHECK(neighbour_parse(first(&s), &neighbour, NULL));
	CHECK(neighbour.table == DENIM_FDB && neighbour.index == 7 && neighbour.state == NUD_PERMANENT);
	CHECK(neighbour.flags == NTF_SELF && neighbour.has_mac && neighbour.mac[5] == 2);
	CHECK(neighbour.address_family == DENIM_V4 && neighbour.address[3] == 2);
}

static void reads_nexthops(void)
{
	static const struct {
		uint16_t attribute;
		uint8_t special;
	} specials[] = {
		{ NHA_BLACKHOLE, DENIM_NEXTHOP_BLACKHOLE },
		{ NHA_GROUP, DENIM_NEXTHOP_GROUP },
		{ NHA_FDB, DENIM_NEXTHOP_FDB },
		{ NHA_ENCAP, DENIM_NEXTHOP_ENCAP },
	};
	struct sample s;
	struct denim_nexthop nexthop;

	sample_init(&s);
	put_nexthop_reply(&s.b, 1);
	CHECK(nexthop_parse(first(&s), &nexthop, NULL));
	CHECK(nexthop.id == 0x40000001 && nexthop.index == 7 && nexthop.family == DENIM_V4 && nexthop.onlink == 1);
	CHECK(nexthop.gateway_family == DENIM_V4 && nexthop.gateway[2] == 2 && nexthop.protocol == 85);
	CHECK(nexthop.special == 0);
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		sample_init(&s);
		put_special_nexthop_reply(&s.b, specials[i].attribute);
		CHECK(nexthop_parse(first(&s), &nexthop, NULL) && nexthop.special == specials[i].special);
	}
}

static bool parse_all(const struct nlmsghdr *m)
{
	_Alignas(8) uint8_t record[NL_RECORD_MAX];
	bool any = link_parse(m, record, NULL);

	any |= address_parse(m, record, NULL);
	any |= route_parse(m, record, NULL);
	any |= nexthop_parse(m, record, NULL);
	any |= neighbour_parse(m, record, NULL);
	return any;
}

/* A copy in a block of exactly `length` bytes whose header claims `claimed`. */
static void parse_copy(const uint8_t *bytes, size_t length, uint32_t claimed)
{
	uint8_t *copy = malloc(length ? length : 1);
	size_t rest;

	CHECK(copy != NULL);
	memcpy(copy, bytes, length);
	if (length >= sizeof(uint32_t))
		memcpy(copy, &claimed, sizeof(claimed));
	for (const struct nlmsghdr *m = nl_first(copy, length, &rest); m; m = nl_next(m, &rest))
		parse_all(m);
	free(copy);
}

static void survives_every_truncation_and_bit(void)
{
	void (*const samples[])(struct nl_buffer *, uint32_t) = {
		put_vxlan_reply, put_address_reply, put_route_reply, put_multipath_reply, put_nexthop_reply,
		put_neighbour_reply,
	};

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct sample s;

		sample_init(&s);
		samples[i](&s.b, 1);
		CHECK(parse_all(first(&s)));
		for (size_t length = 0; length <= s.b.length; length++) {
			parse_copy(s.bytes, length, (uint32_t)length);
			parse_copy(s.bytes, length, (uint32_t)s.b.length);
		}
		for (size_t bit = 0; bit < 8 * s.b.length; bit++) {
			s.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			parse_copy(s.bytes, s.b.length, (uint32_t)s.b.length);
			s.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void ends_at_a_lying_length(void)
{
	struct sample s;
	struct nlmsghdr header;
	size_t rest;
	const struct nlmsghdr *m;

	sample_init(&s);
	put_address_reply(&s.b, 1);
	put_address_reply(&s.b, 2);
	m = nl_first(s.bytes, s.b.length, &rest);
	CHECK(m && nl_next(m, &rest) && rest == m->nlmsg_len);
	memcpy(&header, s.bytes, sizeof(header));
	for (uint32_t lie = 0; lie < sizeof(header); lie++) {
		memcpy(s.bytes, &lie, sizeof(lie));
		CHECK(nl_first(s.bytes, s.b.length, &rest) == NULL);
	}
	header.nlmsg_len = UINT32_MAX;
	memcpy(s.bytes, &header, sizeof(header));
	CHECK(nl_first(s.bytes, s.b.length, &rest) == NULL);
}

static void leaves_out_attributes_that_lie(void)
{
	_Alignas(8) uint8_t bytes[] = { 8, 0, 1, 0, 1, 2, 3, 4, 200, 0, 2, 0, 9, 9, 9, 9 };
	struct rtattr outer[1 + sizeof(bytes) / sizeof(struct rtattr)];
	const struct rtattr *table[3];

	memcpy(&outer[1], bytes, sizeof(bytes));
	outer[0] = (struct rtattr){ .rta_len = sizeof(outer), .rta_type = 9 };
	nl_nested(&outer[0], table, 2);
	CHECK(table[1] != NULL && nl_u32(table[1], 0) == 0x04030201 && table[2] == NULL);
	CHECK(nl_u32(NULL, 5) == 5 && nl_u16(NULL, 6) == 6 && nl_u8(NULL, 7) == 7);
}

int main(void)
{
	RUN(reads_a_vxlan_link);
	RUN(reads_an_address);
	RUN(reads_routes);
	RUN(reads_nexthops);
	RUN(reads_an_fdb_entry);
	RUN(survives_every_truncation_and_bit);
	RUN(ends_at_a_lying_length);
	RUN(leaves_out_attributes_that_lie);
	return 0;
}
