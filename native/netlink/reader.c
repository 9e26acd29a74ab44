/*
 * Reading netlink replies. Every length in a message is foreign: it is compared with what is left before it is believed,
 * and the first that lies ends the walk.
 */
#include "nl.h"

#include <string.h>

static const struct nlmsghdr *checked(const struct nlmsghdr *message, size_t rest)
{
	if (rest < sizeof(*message) || message->nlmsg_len < sizeof(*message) || message->nlmsg_len > rest)
		return NULL;
	return message;
}

const struct nlmsghdr *nl_first(const uint8_t *bytes, size_t length, size_t *rest)
{
	*rest = length;
	return checked((const struct nlmsghdr *)(const void *)bytes, length);
}

const struct nlmsghdr *nl_next(const struct nlmsghdr *message, size_t *rest)
{
	size_t step = NLMSG_ALIGN((size_t)message->nlmsg_len);

	if (step > *rest)
		return NULL;
	*rest -= step;
	return checked((const struct nlmsghdr *)(const void *)((const uint8_t *)message + step), *rest);
}

const void *nl_header(const struct nlmsghdr *message, size_t size)
{
	return message->nlmsg_len < NLMSG_HDRLEN + size ? NULL : (const uint8_t *)message + NLMSG_HDRLEN;
}

static void walk(const uint8_t *at, size_t rest, const struct rtattr **table, uint16_t max)
{
	memset(table, 0, (max + 1u) * sizeof(*table));
	while (rest >= sizeof(struct rtattr)) {
		const struct rtattr *attribute = (const struct rtattr *)(const void *)at;
		size_t step = RTA_ALIGN((size_t)attribute->rta_len);
		uint16_t type = attribute->rta_type & NLA_TYPE_MASK;

		if (attribute->rta_len < sizeof(*attribute) || attribute->rta_len > rest)
			return;
		if (type <= max)
			table[type] = attribute;
		if (step >= rest)
			return;
		at += step;
		rest -= step;
	}
}

void nl_attributes(const struct nlmsghdr *message, size_t header, const struct rtattr **table, uint16_t max)
{
	size_t start = NLMSG_HDRLEN + NLMSG_ALIGN(header);

	if (message->nlmsg_len < start)
		walk(NULL, 0, table, max);
	else
		walk((const uint8_t *)message + start, message->nlmsg_len - start, table, max);
}

const uint8_t *nl_data(const struct rtattr *attribute, size_t *size)
{
	*size = attribute ? attribute->rta_len - RTA_LENGTH(0) : 0;
	return attribute ? (const uint8_t *)attribute + RTA_LENGTH(0) : NULL;
}

void nl_nested(const struct rtattr *attribute, const struct rtattr **table, uint16_t max)
{
	size_t size;
	const uint8_t *data = nl_data(attribute, &size);

	walk(data, size, table, max);
}

/* Copies the value where the attribute has at least its size. */
static void number(const struct rtattr *attribute, void *value, size_t wanted)
{
	size_t size;
	const uint8_t *data = nl_data(attribute, &size);

	if (size >= wanted)
		memcpy(value, data, wanted);
}

uint8_t nl_u8(const struct rtattr *attribute, uint8_t otherwise)
{
	number(attribute, &otherwise, sizeof(otherwise));
	return otherwise;
}

uint16_t nl_u16(const struct rtattr *attribute, uint16_t otherwise)
{
	number(attribute, &otherwise, sizeof(otherwise));
	return otherwise;
}

uint32_t nl_u32(const struct rtattr *attribute, uint32_t otherwise)
{
	number(attribute, &otherwise, sizeof(otherwise));
	return otherwise;
}

/* The rest of `out` is zeroed; text that is too long is cut. */
void nl_text(const struct rtattr *attribute, char *out, size_t capacity)
{
	size_t size;
	const uint8_t *data = nl_data(attribute, &size);
	size_t length = size > 0 ? strnlen((const char *)data, size) : 0;

	memset(out, 0, capacity);
	if (length > 0)
		memcpy(out, data, length < capacity ? length : capacity - 1);
}

uint8_t nl_address(const struct rtattr *attribute, uint8_t out[16])
{
	size_t size;
	const uint8_t *data = nl_data(attribute, &size);

	if (size != 4 && size != 16)
		return DENIM_NONE;
	memcpy(out, data, size);
	return size == 4 ? DENIM_V4 : DENIM_V6;
}

bool nl_mac(const struct rtattr *attribute, uint8_t out[6])
{
	size_t size;
	const uint8_t *data = nl_data(attribute, &size);

	if (size != 6)
		return false;
	memcpy(out, data, size);
	return true;
}
