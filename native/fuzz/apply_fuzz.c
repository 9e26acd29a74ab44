/*
 * Applying hostile records to a hostile kernel: what is written is whole, and every record gets a result whatever comes back.
 *
 * The kernel is played over a socket pair: its answers are queued before they are asked for. The first byte chooses the kind of
 * record, the second how many there are; then come the records, then datagrams, each behind its length in two bytes. Records
 * are a heap block of their own size, so that text without its NUL is found out.
 */
#include "../netlink/nl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Called by libFuzzer, which has no header for it. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

enum { RECORDS = 6, SEQUENCE = 1 };

typedef int32_t apply(struct denim_netlink *nl, void *records, uint32_t count);

static int32_t links(struct denim_netlink *nl, void *records, uint32_t count)
{
	return denim_apply_links(nl, records, count);
}

static int32_t addresses(struct denim_netlink *nl, void *records, uint32_t count)
{
	return denim_apply_addresses(nl, records, count);
}

static int32_t routes(struct denim_netlink *nl, void *records, uint32_t count)
{
	return denim_apply_routes(nl, records, count);
}

static int32_t nexthops(struct denim_netlink *nl, void *records, uint32_t count)
{
	return denim_apply_nexthops(nl, records, count);
}

static int32_t neighbours(struct denim_netlink *nl, void *records, uint32_t count)
{
	return denim_apply_neighbours(nl, records, count);
}

static int32_t questions(struct denim_netlink *nl, void *records, uint32_t count)
{
	return denim_look_up(nl, records, count);
}

static const struct {
	apply *apply;
	size_t size;
} kinds[] = {
	{ links, sizeof(struct denim_link) },
	{ addresses, sizeof(struct denim_address) },
	{ routes, sizeof(struct denim_route) },
	{ nexthops, sizeof(struct denim_nexthop) },
	{ neighbours, sizeof(struct denim_neighbour) },
	{ questions, sizeof(struct denim_route) },
};

static void say(int kernel, const uint8_t *bytes, size_t length)
{
	while (length > 2) {
		size_t part = (size_t)bytes[0] | (size_t)bytes[1] << 8;

		bytes += 2;
		length -= 2;
		if (part > length)
			part = length;
		if (part > 0)
			send(kernel, bytes, part, MSG_DONTWAIT);
		bytes += part;
		length -= part;
	}
}

/* Whole messages from the first byte to the last. */
static void hear(int kernel)
{
	static _Alignas(8) uint8_t bytes[NL_SEND_SIZE];
	ssize_t length;

	while ((length = recv(kernel, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		size_t rest, heard = 0;

		for (const struct nlmsghdr *m = nl_first(bytes, (size_t)length, &rest); m; m = nl_next(m, &rest))
			heard += NLMSG_ALIGN(m->nlmsg_len);
		if (heard != (size_t)length)
			abort();
	}
}

static void run(size_t which, uint8_t *records, uint32_t count, const uint8_t *answers, size_t length)
{
	static struct denim_netlink nl;
	int ends[2];
	int32_t result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) < 0)
		return;
	nl.fd = ends[0];
	nl.sequence = SEQUENCE;
	nl.batch_max = 3;
	say(ends[1], answers, length);
	result = kinds[which].apply(&nl, records, count);
	if (result > 0)
		abort();
	for (uint32_t i = 0; i < count; i++) {
		struct denim_head head;

		memcpy(&head, records + i * kinds[which].size, sizeof(head));
		if (head.result > 0)
			abort();
	}
	hear(ends[1]);
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	size_t which, size, given;
	uint32_t count;
	uint8_t *records;

	if (length < 2)
		return 0;
	which = input[0] % (sizeof(kinds) / sizeof(kinds[0]));
	count = input[1] % (RECORDS + 1);
	size = count * kinds[which].size;
	given = size < length - 2 ? size : length - 2;
	records = malloc(size + !size);
	if (!records)
		return 0;
	memset(records, 0, size);
	memcpy(records, input + 2, given);
	run(which, records, count, input + 2 + given, length - 2 - given);
	free(records);
	return 0;
}
