/*
 * Changes as a monitor hands them over: which count, what they say, and the ring that they wait in.
 *
 * Everything here is memory that the monitor's lock guards; nothing is allocated. A message is decoded by the parser of the
 * dump of its kind, so a change is the very record that a read would have found.
 */
#include "nl.h"

#include <linux/if.h>
#include <string.h>

enum { OWN_PROTOCOL = 85 }; /* of routes that denim has made, which stay its business wherever they lead */

void watch_only(struct watched *watched, const uint32_t *indexes, uint32_t index_count,
		const struct denim_prefix *networks, uint32_t network_count)
{
	watched->device_count = index_count;
	if (index_count > 0 && index_count <= WATCH_DEVICES)
		memcpy(watched->devices, indexes, index_count * sizeof(*indexes));
	watched->network_count = network_count;
	if (network_count > 0 && network_count <= WATCH_NETWORKS)
		memcpy(watched->networks, networks, network_count * sizeof(*networks));
}

void watch_everything(struct watched *watched)
{
	watched->device_count = WATCH_DEVICES + 1;
	watched->network_count = WATCH_NETWORKS + 1;
}

bool watches_device(const struct watched *watched, uint32_t index)
{
	if (watched->device_count > WATCH_DEVICES)
		return true;
	for (uint32_t i = 0; i < watched->device_count; i++) {
		if (watched->devices[i] == index)
			return true;
	}
	return false;
}

static bool contains(const struct denim_prefix *network, const struct denim_route *route)
{
	size_t whole = network->length / 8;
	uint8_t rest = (uint8_t)(0xff00 >> network->length % 8);

	if (network->family != route->family || network->length > 8 * nl_address_length(network->family) ||
	    route->length < network->length || memcmp(network->address, route->destination, whole) != 0)
		return false;
	return rest == 0 || ((network->address[whole] ^ route->destination[whole]) & rest) == 0;
}

static bool watches_destination(const struct watched *watched, const struct denim_route *route)
{
	if (watched->network_count > WATCH_NETWORKS)
		return true;
	for (uint32_t i = 0; i < watched->network_count; i++) {
		if (contains(&watched->networks[i], route))
			return true;
	}
	return false;
}

/* Devices come last: where there are too many to name, each counts, and everything else has been asked already. */
static bool watches_route(const struct watched *watched, const struct denim_route *route)
{
	return route->table == RT_TABLE_MAIN &&
	       (route->protocol == OWN_PROTOCOL || route->nexthop != 0 || watches_destination(watched, route) ||
		watches_device(watched, route->index));
}

/* A port that leaves its bridge is told as a deleted link of the bridge family: the device is still there. */
static bool parse_link(const struct nlmsghdr *message, struct denim_change *out)
{
	const struct ifinfomsg *header = nl_header(message, sizeof(*header));

	if (!header)
		return false;
	if (header->ifi_family != AF_UNSPEC)
		out->flags &= ~(uint32_t)DENIM_CHANGE_GONE;
	if (header->ifi_flags & IFF_UP)
		out->flags |= DENIM_CHANGE_UP;
	out->index = (uint32_t)header->ifi_index;
	return true;
}

static bool parse_address(const struct nlmsghdr *message, struct denim_change *out)
{
	const struct ifaddrmsg *header = nl_header(message, sizeof(*header));

	if (!header)
		return false;
	out->index = header->ifa_index;
	return true;
}

static void begin(struct denim_change *out, const struct nlmsghdr *message, uint32_t own_port, uint32_t kind, bool gone)
{
	memset(out, 0, sizeof(*out));
	out->kind = kind;
	/* The bit of NLM_F_REPLACE means another thing in what deletes. */
	out->flags = gone ? DENIM_CHANGE_GONE : message->nlmsg_flags & NLM_F_REPLACE ? DENIM_CHANGE_REPLACES : 0;
	if (own_port != 0 && message->nlmsg_pid == own_port)
		out->flags |= DENIM_CHANGE_OWN;
}

bool change_parse(const struct nlmsghdr *message, uint32_t own_port, const struct watched *watched,
		  struct denim_change *out)
{
	uint16_t type = message->nlmsg_type;

	switch (type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		begin(out, message, own_port, DENIM_CHANGE_ROUTE, type == RTM_DELROUTE);
		return !route_is_cloned(message) && route_decode(message, &out->route) &&
		       watches_route(watched, &out->route);
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		begin(out, message, own_port, DENIM_CHANGE_NEXTHOP, type == RTM_DELNEXTHOP);
		return nexthop_decode(message, &out->nexthop);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		begin(out, message, own_port, DENIM_CHANGE_NEIGHBOUR, type == RTM_DELNEIGH);
		return neighbour_decode(message, &out->neighbour) && watches_device(watched, out->neighbour.index);
	case RTM_NEWLINK:
	case RTM_DELLINK:
		begin(out, message, own_port, DENIM_CHANGE_LINK, type == RTM_DELLINK);
		return parse_link(message, out);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		begin(out, message, own_port, DENIM_CHANGE_ADDRESS, type == RTM_DELADDR);
		return parse_address(message, out);
	default:
		return false;
	}
}

void changes_push(struct changes *changes, const struct denim_change *change)
{
	if (changes->count == DENIM_CHANGES) {
		changes->count = 0;
		changes->lost = true;
	}
	changes->ring[(changes->first + changes->count++) % DENIM_CHANGES] = *change;
}

uint32_t changes_pull(struct changes *changes, struct denim_change *out, uint32_t capacity)
{
	uint32_t count = changes->count < capacity ? changes->count : capacity;

	for (uint32_t i = 0; i < count; i++)
		out[i] = changes->ring[(changes->first + i) % DENIM_CHANGES];
	changes->first = (changes->first + count) % DENIM_CHANGES;
	changes->count -= count;
	return count;
}
