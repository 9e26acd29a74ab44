/*
 * Whole tables. A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR), or that lost a datagram, is read to its end
 * and then asked for again: a caller never sees half a table.
 */
#include "nl.h"

#include <errno.h>
#include <string.h>

struct nl_buffer nl_dump_begin(struct denim_netlink *nl, uint16_t type, const void *header, size_t length)
{
	struct nl_buffer b = { .bytes = nl->send, .capacity = sizeof(nl->send) };

	nl_begin(&b, type, NLM_F_DUMP, header, length);
	return b;
}

static void take(struct nl_sink *sink, const struct nlmsghdr *message)
{
	_Alignas(8) uint8_t scratch[NL_RECORD_MAX];
	void *slot = sink->count < sink->capacity ? sink->records + (size_t)sink->count * sink->size : scratch;

	if (sink->parse(message, slot, sink->filter))
		sink->count++;
}

int nl_collect(struct nl_sink *sink, uint32_t sequence, const uint8_t *bytes, size_t length, bool *again)
{
	size_t rest;

	for (const struct nlmsghdr *m = nl_first(bytes, length, &rest); m; m = nl_next(m, &rest)) {
		const int *error = nl_header(m, sizeof(*error));

		if (m->nlmsg_seq != sequence)
			continue;
		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			*again = true;
		if (m->nlmsg_type == NLMSG_DONE)
			return error && *error < 0 ? *error : NL_DONE;
		if (m->nlmsg_type == NLMSG_ERROR)
			return !error ? -EBADMSG : *error < 0 ? *error : NL_DONE;
		take(sink, m);
	}
	return NL_MORE;
}

static int attempt(struct denim_netlink *nl, size_t length, uint32_t sequence, struct nl_sink *sink, bool *again)
{
	int result = nl_send(nl, length);

	if (result < 0)
		return result;
	do {
		ptrdiff_t received = nl_receive(nl, 0);

		if (received == -ENOBUFS) {
			*again = true;
			result = NL_MORE;
		} else if (received < 0) {
			result = (int)received;
		} else {
			result = nl_collect(sink, sequence, nl->receive, (size_t)received, again);
		}
	} while (result == NL_MORE);
	return result;
}

int nl_dump(struct denim_netlink *nl, struct nl_buffer *request, struct nl_sink *sink)
{
	uint32_t start = sink->count;

	for (int i = 0; i < NL_DUMP_ATTEMPTS; i++) {
		bool again = false;
		int result;

		nl_end(request, nl->sequence);
		if (request->overflow)
			return -EMSGSIZE;
		sink->count = start;
		result = attempt(nl, request->length, nl->sequence++, sink, &again);
		if (result < 0 && result != -EINTR && result != -EBUSY)
			return result;
		if (result == NL_DONE && !again)
			return 0;
	}
	return -EAGAIN;
}
