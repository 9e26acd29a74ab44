/*
 * The handshake. The table lists, record by record, the size and then the offset of every member that codec.ts touches, in
 * the order of ffi/layout.ts: whoever edits one edits both.
 */
#include "denim.h"

#include <stddef.h>

#define AT(record, member) (uint32_t)offsetof(struct denim_##record, member)

static const uint32_t layout[] = {
	sizeof(struct denim_head), AT(head, verb), AT(head, result),

	sizeof(struct denim_link), AT(link, index), AT(link, mtu), AT(link, up), AT(link, has_mac), AT(link, mac),
	AT(link, has_vxlan), AT(link, vxlan_flags), AT(link, vni), AT(link, lower), AT(link, ageing), AT(link, port),
	AT(link, ttl), AT(link, tos), AT(link, local_family), AT(link, group_family), AT(link, local), AT(link, group),
	AT(link, name), AT(link, type), AT(link, alias),

	sizeof(struct denim_address), AT(address, index), AT(address, flags), AT(address, family), AT(address, length),
	AT(address, scope), AT(address, address),

	sizeof(struct denim_route), AT(route, index), AT(route, table), AT(route, metric), AT(route, paths),
	AT(route, nexthop), AT(route, family), AT(route, length), AT(route, gateway_family), AT(route, source_family),
	AT(route, protocol), AT(route, scope), AT(route, type), AT(route, tos), AT(route, onlink), AT(route, destination),
	AT(route, gateway), AT(route, source),

	sizeof(struct denim_nexthop), AT(nexthop, id), AT(nexthop, index), AT(nexthop, family), AT(nexthop, gateway_family),
	AT(nexthop, protocol), AT(nexthop, onlink), AT(nexthop, special), AT(nexthop, gateway),

	sizeof(struct denim_neighbour), AT(neighbour, index), AT(neighbour, state), AT(neighbour, flags),
	AT(neighbour, protocol), AT(neighbour, table), AT(neighbour, address_family), AT(neighbour, has_mac),
	AT(neighbour, mac), AT(neighbour, address),

	sizeof(struct denim_change), AT(change, kind), AT(change, flags), AT(change, route), AT(change, nexthop),
	AT(change, neighbour), AT(change, index),

	sizeof(struct denim_prefix), AT(prefix, family), AT(prefix, length), AT(prefix, address),

	sizeof(struct denim_udp_settings), AT(udp_settings, queues), AT(udp_settings, without), AT(udp_settings, sources),
	AT(udp_settings, port), AT(udp_settings, bind_v4), AT(udp_settings, bind_v6), AT(udp_settings, sender),
	AT(udp_settings, accept_moved), AT(udp_settings, plain), AT(udp_settings, address_v4),
	AT(udp_settings, address_v6), AT(udp_settings, tun), AT(udp_settings, socket_v4), AT(udp_settings, socket_v6),
	AT(udp_settings, name),

	sizeof(struct denim_udp_icmp), AT(udp_icmp, has_v4), AT(udp_icmp, has_v6), AT(udp_icmp, address_v4),
	AT(udp_icmp, address_v6),

	sizeof(struct denim_udp_peer), AT(udp_peer, family), AT(udp_peer, length), AT(udp_peer, underlay_family),
	AT(udp_peer, port), AT(udp_peer, mtu), AT(udp_peer, subnet), AT(udp_peer, address),

	sizeof(struct denim_udp_peer_stats), AT(udp_peer_stats, sent_packets), AT(udp_peer_stats, sent_bytes),
	AT(udp_peer_stats, received_packets), AT(udp_peer_stats, received_bytes), AT(udp_peer_stats, alone),
	AT(udp_peer_stats, moved_family), AT(udp_peer_stats, moved),

	sizeof(struct denim_udp_stats), AT(udp_stats, sent_packets), AT(udp_stats, sent_bytes),
	AT(udp_stats, sent_messages), AT(udp_stats, received_packets), AT(udp_stats, received_bytes),
	AT(udp_stats, received_messages), AT(udp_stats, device_reads), AT(udp_stats, device_writes),
	AT(udp_stats, icmp_sent), AT(udp_stats, drops), AT(udp_stats, features), AT(udp_stats, failed),
	AT(udp_stats, sender), AT(udp_stats, sender_error), AT(udp_stats, name),

	sizeof(struct denim_descriptor), AT(descriptor, kind), AT(descriptor, family), AT(descriptor, port),
	AT(descriptor, multi_queue), AT(descriptor, offload), AT(descriptor, address), AT(descriptor, name),
};

uint32_t denim_abi_version(void)
{
	return DENIM_ABI_VERSION;
}

uint32_t denim_layout(uint32_t *out, uint32_t capacity)
{
	uint32_t count = sizeof(layout) / sizeof(layout[0]);

	for (uint32_t i = 0; i < count && i < capacity; i++)
		out[i] = layout[i];
	return count;
}
