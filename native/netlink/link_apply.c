/*
 * Making, changing and deleting links, one after the other: there are few.
 *
 * The kernel takes no alias at creation. So a link is created down, then gets its alias and goes up; where that second step
 * fails the new link is deleted again, so that a failed creation leaves nothing.
 *
 * A change reads the link first and sends only what differs: settings of the kind (see vxlan.c), then everything else, as the
 * vxlan driver refuses a message with both. Where the first step is refused nothing was changed.
 */
#include "nl.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <string.h>

/* What the builders get instead of a bare record: its head is what nl_run fills in. */
struct step {
	struct denim_head head;
	const struct denim_link *want;
	const struct denim_link *have; /* NULL on creation */
	struct denim_link *found;
};

static void begin(struct nl_buffer *b, uint16_t type, uint16_t flags, const struct denim_link *link, bool up)
{
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC, .ifi_index = (int)link->index };

	if (type == RTM_NEWLINK) {
		header.ifi_change = IFF_UP;
		header.ifi_flags = up ? IFF_UP : 0;
	}
	nl_begin(b, type, (uint16_t)(NLM_F_ACK | flags), &header, sizeof(header));
	if (link->index == 0)
		nl_put_text(b, IFLA_IFNAME, link->name, sizeof(link->name));
}

/* On a change, -EALREADY where there is nothing to change. */
static int put_info(struct nl_buffer *b, const struct denim_link *want, const struct denim_link *have)
{
	size_t nest = nl_nest(b, IFLA_LINKINFO), empty;
	int result;

	nl_put_text(b, IFLA_INFO_KIND, want->type, sizeof(want->type));
	empty = b->length + NLA_HDRLEN;
	result = want->has_vxlan ? vxlan_put(b, want, have) : 0;
	nl_nest_end(b, nest);
	return result == 0 && have && b->length <= empty ? -EALREADY : result;
}

static int build_create(struct nl_buffer *b, const void *record)
{
	const struct denim_link *want = ((const struct step *)record)->want;

	if (want->type[0] == 0 || want->name[0] == 0)
		return -EINVAL;
	begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, want, false);
	if (want->mtu != 0)
		nl_put_u32(b, IFLA_MTU, want->mtu);
	if (want->has_mac)
		nl_put(b, IFLA_ADDRESS, want->mac, sizeof(want->mac));
	return put_info(b, want, NULL);
}

static int build_info(struct nl_buffer *b, const void *record)
{
	const struct denim_link *want = ((const struct step *)record)->want;
	const struct denim_link *have = ((const struct step *)record)->have;

	if (!want->has_vxlan)
		return -EALREADY;
	if (strcmp(want->type, have->type) != 0)
		return -EOPNOTSUPP;
	begin(b, RTM_NEWLINK, 0, have, have->up);
	return put_info(b, want, have);
}

static int build_set(struct nl_buffer *b, const void *record)
{
	const struct denim_link *want = ((const struct step *)record)->want;
	const struct denim_link *have = ((const struct step *)record)->have;

	begin(b, RTM_NEWLINK, 0, have, want->up);
	/* Equal or not: another lower device may have lowered it a moment ago. */
	if (want->mtu != 0)
		nl_put_u32(b, IFLA_MTU, want->mtu);
	if (want->has_mac && (!have->has_mac || memcmp(want->mac, have->mac, sizeof(want->mac)) != 0))
		nl_put(b, IFLA_ADDRESS, want->mac, sizeof(want->mac));
	if (strncmp(want->alias, have->alias, sizeof(want->alias)) != 0)
		nl_put(b, IFLA_IFALIAS, want->alias, strnlen(want->alias, sizeof(want->alias) - 1));
	return 0;
}

static int build_delete(struct nl_buffer *b, const void *record)
{
	begin(b, RTM_DELLINK, 0, ((const struct step *)record)->want, false);
	return 0;
}

static int build_get(struct nl_buffer *b, const void *record)
{
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	const struct denim_link *want = ((const struct step *)record)->want;

	header.ifi_index = (int)want->index;
	nl_begin(b, RTM_GETLINK, 0, &header, sizeof(header));
	nl_put_u32(b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (want->index == 0)
		nl_put_text(b, IFLA_IFNAME, want->name, sizeof(want->name));
	return 0;
}

static int reply_get(const struct nlmsghdr *message, void *record)
{
	return link_parse(message, ((struct step *)record)->found, NULL) ? 0 : -EBADMSG;
}

/* One request. The socket's failure and the kernel's refusal come back alike. */
static int request(struct denim_netlink *nl, struct step *step, int (*build)(struct nl_buffer *, const void *))
{
	struct nl_batch batch = { .records = step, .size = sizeof(*step), .count = 1, .build = build };
	int result;

	batch.reply = build == build_get ? reply_get : NULL;
	result = nl_run(nl, &batch);
	return result < 0 ? result : step->head.result;
}

static int delete_link(struct denim_netlink *nl, const struct denim_link *link)
{
	struct step step = { .want = link };

	return request(nl, &step, build_delete);
}

static int get_link(struct denim_netlink *nl, const struct denim_link *which, struct denim_link *found)
{
	struct step step = { .want = which, .found = found };

	return request(nl, &step, build_get);
}

static int change_link(struct denim_netlink *nl, const struct denim_link *want)
{
	struct denim_link have;
	struct step step = { .want = want, .have = &have };
	int result = get_link(nl, want, &have);

	if (result == 0)
		result = request(nl, &step, build_info);
	return result < 0 && result != -EALREADY ? result : request(nl, &step, build_set);
}

/* The index is the kernel's to give: one in the record (of a link that was here before, say) is passed over. */
static int create_link(struct denim_netlink *nl, const struct denim_link *record)
{
	struct denim_link want = *record, made = *record;
	struct step step = { .want = &want };
	int result;

	want.index = made.index = 0;
	result = request(nl, &step, build_create);
	if (result < 0 || (!want.up && want.alias[0] == 0))
		return result;
	made.alias[0] = 0;
	step.have = &made;
	result = request(nl, &step, build_set);
	if (result < 0)
		delete_link(nl, &want);
	return result;
}

static int replace_link(struct denim_netlink *nl, const struct denim_link *want)
{
	int result = delete_link(nl, want);

	return result < 0 && result != -ENODEV ? result : create_link(nl, want);
}

static int apply(struct denim_netlink *nl, const struct denim_link *link)
{
	switch (link->head.verb) {
	case DENIM_CREATE:
		return create_link(nl, link);
	case DENIM_REPLACE:
		return replace_link(nl, link);
	case DENIM_CHANGE:
		return change_link(nl, link);
	case DENIM_DELETE:
		return delete_link(nl, link);
	default:
		return -EINVAL;
	}
}

int32_t denim_apply_links(struct denim_netlink *nl, struct denim_link *records, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		records[i].head.result = apply(nl, &records[i]);
	return 0;
}
