/*
 * Many requests per send, every one acknowledged.
 *
 * The kernel works off a batch inside send, in order, and goes on after a refused message; so the answers are queued
 * when send returns, at most as many as the receive buffer holds. Sequence numbers are consecutive: an answer's record is
 * found by subtraction. An answer that got lost all the same leaves -ENOBUFS as its record's result: "not known, read back".
 */
#include "nl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { PENDING = 1 }; /* no result is positive */

static struct denim_head *head_of(const struct nl_batch *batch, uint32_t i)
{
	return (struct denim_head *)(void *)((uint8_t *)batch->records + (size_t)i * batch->size);
}

static int result_of(const struct nl_batch *batch, const struct nlmsghdr *message, void *record)
{
	const struct nlmsgerr *error;

	if (message->nlmsg_type != NLMSG_ERROR)
		return batch->reply ? batch->reply(message, record) : PENDING;
	error = nl_header(message, sizeof(error->error));
	return !error ? -EBADMSG : error->error > 0 ? -error->error : error->error;
}

uint32_t nl_match(const struct nl_batch *batch, uint32_t first, uint32_t count, uint32_t sequence, const uint8_t *bytes,
		  size_t length)
{
	uint32_t matched = 0;
	size_t rest;

	for (const struct nlmsghdr *m = nl_first(bytes, length, &rest); m; m = nl_next(m, &rest)) {
		uint32_t offset = m->nlmsg_seq - sequence;
		struct denim_head *head;

		if (offset >= count)
			continue;
		head = head_of(batch, first + offset);
		if (head->result != PENDING)
			continue;
		head->result = result_of(batch, m, head);
		matched += head->result != PENDING;
	}
	return matched;
}

static void settle(const struct nl_batch *batch, uint32_t first, uint32_t count, int result)
{
	for (uint32_t i = first; i < first + count; i++) {
		if (head_of(batch, i)->result == PENDING)
			head_of(batch, i)->result = result;
	}
}

/* Waits for `pending` answers. After an overrun only what is still queued can be had. */
static int drain(struct denim_netlink *nl, const struct nl_batch *batch, uint32_t first, uint32_t count,
		 uint32_t sequence, uint32_t pending)
{
	int flags = 0;

	while (pending > 0) {
		ptrdiff_t length = nl_receive(nl, flags);

		if (length == -ENOBUFS) {
			flags = MSG_DONTWAIT;
			continue;
		}
		if (length == -EAGAIN)
			break;
		if (length < 0)
			return (int)length;
		pending -= nl_match(batch, first, count, sequence, nl->receive, (size_t)length);
	}
	settle(batch, first, count, -ENOBUFS);
	return 0;
}

/* Writes as many messages as fit; returns how many records were taken. Those refused here have their result already. */
static uint32_t fill(struct denim_netlink *nl, const struct nl_batch *batch, uint32_t first, struct nl_buffer *b,
		     uint32_t *pending)
{
	uint32_t taken = 0;

	while (first + taken < batch->count && taken < nl->batch_max && b->capacity - b->length >= NL_MESSAGE_MAX) {
		struct denim_head *head = head_of(batch, first + taken);
		size_t start = b->length;
		int result = batch->build(b, head);

		if (result == 0 && b->overflow)
			result = -EMSGSIZE;
		if (result < 0) {
			b->length = start;
			b->overflow = false;
		} else {
			nl_end(b, nl->sequence + taken);
			++*pending;
		}
		head->result = result < 0 ? result : PENDING;
		taken++;
	}
	return taken;
}

int nl_run(struct denim_netlink *nl, const struct nl_batch *batch)
{
	int result = 0;
	uint32_t first = 0;

	while (first < batch->count && result == 0) {
		struct nl_buffer b = { .bytes = nl->send, .capacity = sizeof(nl->send) };
		uint32_t sequence = nl->sequence, pending = 0;
		uint32_t taken = fill(nl, batch, first, &b, &pending);

		nl->sequence += taken;
		if (pending > 0)
			result = nl_send(nl, b.length);
		if (pending > 0 && result == 0)
			result = drain(nl, batch, first, taken, sequence, pending);
		if (result < 0)
			settle(batch, first, taken, result);
		first += taken;
	}
	for (; first < batch->count; first++)
		head_of(batch, first)->result = result;
	return result;
}
