/* Writing netlink requests: messages, attributes, nests. Lengths are counted here and nowhere else. */
#include "nl.h"

#include <string.h>

/* Room for `length` bytes, zeroed and padded to 4; NULL (and overflow) where there is none. */
static uint8_t *reserve(struct nl_buffer *b, size_t length)
{
	size_t padded = NLMSG_ALIGN(length);
	uint8_t *at = b->bytes + b->length;

	if (b->overflow || padded > b->capacity - b->length) {
		b->overflow = true;
		return NULL;
	}
	memset(at, 0, padded);
	b->length += padded;
	return at;
}

void nl_begin(struct nl_buffer *b, uint16_t type, uint16_t flags, const void *header, size_t length)
{
	struct nlmsghdr message = { .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
	uint8_t *at;

	b->message = b->length;
	at = reserve(b, sizeof(message) + length);
	if (!at)
		return;
	memcpy(at, &message, sizeof(message));
	memcpy(at + sizeof(message), header, length);
}

void nl_end(struct nl_buffer *b, uint32_t sequence)
{
	struct nlmsghdr message;

	if (b->overflow)
		return;
	memcpy(&message, b->bytes + b->message, sizeof(message));
	message.nlmsg_len = (uint32_t)(b->length - b->message);
	message.nlmsg_seq = sequence;
	memcpy(b->bytes + b->message, &message, sizeof(message));
}

void nl_put(struct nl_buffer *b, uint16_t type, const void *data, size_t length)
{
	struct rtattr attribute = { .rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(length) };
	uint8_t *at = reserve(b, RTA_LENGTH(length));

	if (!at)
		return;
	memcpy(at, &attribute, sizeof(attribute));
	if (length > 0)
		memcpy(at + RTA_LENGTH(0), data, length);
}

void nl_put_u8(struct nl_buffer *b, uint16_t type, uint8_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void nl_put_u16(struct nl_buffer *b, uint16_t type, uint16_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

void nl_put_u32(struct nl_buffer *b, uint16_t type, uint32_t value)
{
	nl_put(b, type, &value, sizeof(value));
}

/* With its NUL; cut where the caller's field has none. */
void nl_put_text(struct nl_buffer *b, uint16_t type, const char *text, size_t capacity)
{
	char copy[256] = { 0 };

	memcpy(copy, text, strnlen(text, capacity < sizeof(copy) ? capacity : sizeof(copy) - 1));
	copy[sizeof(copy) - 1] = 0;
	nl_put(b, type, copy, strlen(copy) + 1);
}

size_t nl_nest(struct nl_buffer *b, uint16_t type)
{
	size_t nest = b->length;

	nl_put(b, type, NULL, 0);
	return nest;
}

void nl_nest_end(struct nl_buffer *b, size_t nest)
{
	struct rtattr attribute;

	if (b->overflow)
		return;
	memcpy(&attribute, b->bytes + nest, sizeof(attribute));
	attribute.rta_len = (uint16_t)(b->length - nest);
	memcpy(b->bytes + nest, &attribute, sizeof(attribute));
}
