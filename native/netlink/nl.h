/*
 * Netlink by hand, for the files of this library only: build requests, send batches, match answers, walk replies.
 *
 * Everything that reads foreign bytes is bounded by lengths that were checked against the buffer; nothing is allocated
 * after denim_open.
 */
#ifndef DENIM_NL_H
#define DENIM_NL_H

#include "../denim.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
	NL_SEND_SIZE = 64 * 1024,
	NL_RECEIVE_SIZE = 64 * 1024,
	NL_MESSAGE_MAX = 1024, /* no request of ours is longer */
	NL_RECORD_MAX = 512,
	NL_DUMP_ATTEMPTS = 16,
};

/* Where requests are written. `overflow` sticks; a message that did not fit is never sent. */
struct nl_buffer {
	uint8_t *bytes;
	size_t length, capacity;
	size_t message; /* offset of the message being written */
	bool overflow;
};

struct denim_netlink {
	int fd;
	uint32_t port;
	uint32_t sequence;
	uint32_t batch_max; /* answers that surely fit the receive buffer */
	_Alignas(8) uint8_t send[NL_SEND_SIZE];
	_Alignas(8) uint8_t receive[NL_RECEIVE_SIZE];
};

/* buffer.c: writing */
void nl_begin(struct nl_buffer *b, uint16_t type, uint16_t flags, const void *header, size_t length);
void nl_end(struct nl_buffer *b, uint32_t sequence);
void nl_put(struct nl_buffer *b, uint16_t type, const void *data, size_t length);
void nl_put_u8(struct nl_buffer *b, uint16_t type, uint8_t value);
void nl_put_u16(struct nl_buffer *b, uint16_t type, uint16_t value);
void nl_put_u32(struct nl_buffer *b, uint16_t type, uint32_t value);
void nl_put_text(struct nl_buffer *b, uint16_t type, const char *text, size_t capacity);
size_t nl_nest(struct nl_buffer *b, uint16_t type);
void nl_nest_end(struct nl_buffer *b, size_t nest);

/* reader.c: reading */
const struct nlmsghdr *nl_first(const uint8_t *bytes, size_t length, size_t *rest);
const struct nlmsghdr *nl_next(const struct nlmsghdr *message, size_t *rest);
/* The fixed header after nlmsghdr, or NULL where the message is too short for it. */
const void *nl_header(const struct nlmsghdr *message, size_t size);
/* Fills table[0..max] with the attributes after that header; those cut short, or above max, are left out. */
void nl_attributes(const struct nlmsghdr *message, size_t header, const struct rtattr **table, uint16_t max);
void nl_nested(const struct rtattr *attribute, const struct rtattr **table, uint16_t max);
/* The attribute's payload and its size; NULL and 0 where there is no attribute. */
const uint8_t *nl_data(const struct rtattr *attribute, size_t *size);
uint8_t nl_u8(const struct rtattr *attribute, uint8_t otherwise);
uint16_t nl_u16(const struct rtattr *attribute, uint16_t otherwise);
uint32_t nl_u32(const struct rtattr *attribute, uint32_t otherwise);
void nl_text(const struct rtattr *attribute, char *out, size_t capacity);
/* Copies an address of 4 or 16 bytes and returns its family; DENIM_NONE for anything else. */
uint8_t nl_address(const struct rtattr *attribute, uint8_t out[16]);
bool nl_mac(const struct rtattr *attribute, uint8_t out[6]);

static inline size_t nl_address_length(uint8_t family)
{
	return family == DENIM_V4 ? 4 : family == DENIM_V6 ? 16 : 0;
}

static inline uint8_t nl_af(uint8_t family)
{
	return family == DENIM_V6 ? AF_INET6 : AF_INET;
}

static inline uint8_t nl_family(uint8_t af)
{
	return af == AF_INET ? DENIM_V4 : af == AF_INET6 ? DENIM_V6 : DENIM_NONE;
}

/* socket.c, batch.c, dump.c */
int nl_send(struct denim_netlink *nl, size_t length);
/* Bytes of one datagram from the kernel in nl->receive, or a negative errno. */
ptrdiff_t nl_receive(struct denim_netlink *nl, int flags);

/*
 * One request per record, as many per send as fit, every answer matched by its sequence number.
 *
 * build: writes one message, or returns a negative errno that becomes the record's result.
 * reply: takes a data answer (NULL where only acknowledgements come) and returns the record's result.
 */
struct nl_batch {
	void *records;
	size_t size;
	uint32_t count;
	int (*build)(struct nl_buffer *b, const void *record);
	int (*reply)(const struct nlmsghdr *message, void *record);
};
int nl_run(struct denim_netlink *nl, const struct nl_batch *batch);
/* Matches one datagram's answers; returns how many records got their result. Exposed for tests. */
uint32_t nl_match(const struct nl_batch *batch, uint32_t first, uint32_t count, uint32_t sequence, const uint8_t *bytes,
		  size_t length);

/*
 * A dump into caller-owned records. parse: fills one record and says whether it is wanted. What does not fit is counted.
 */
struct nl_sink {
	uint8_t *records;
	size_t size;
	uint32_t capacity, count;
	bool (*parse)(const struct nlmsghdr *message, void *record, const void *filter);
	const void *filter;
};
/* The request is in nl->send, written by the caller with nl_dump_begin. */
struct nl_buffer nl_dump_begin(struct denim_netlink *nl, uint16_t type, const void *header, size_t length);
int nl_dump(struct denim_netlink *nl, struct nl_buffer *request, struct nl_sink *sink);

enum nl_progress { NL_MORE, NL_DONE };
/* Takes one datagram of a dump; negative errno where the kernel refused it. Sets *again where it was interrupted. */
int nl_collect(struct nl_sink *sink, uint32_t sequence, const uint8_t *bytes, size_t length, bool *again);

/* The parsers, one per record. */
bool link_parse(const struct nlmsghdr *message, void *record, const void *filter);
bool address_parse(const struct nlmsghdr *message, void *record, const void *filter);
bool route_parse(const struct nlmsghdr *message, void *record, const void *filter);
bool nexthop_parse(const struct nlmsghdr *message, void *record, const void *filter);
bool neighbour_parse(const struct nlmsghdr *message, void *record, const void *filter);
/* What they are made of: a message of either type, RTM_NEW* or RTM_DEL*, as events bring it. */
bool route_decode(const struct nlmsghdr *message, struct denim_route *out);
bool nexthop_decode(const struct nlmsghdr *message, struct denim_nexthop *out);
bool neighbour_decode(const struct nlmsghdr *message, struct denim_neighbour *out);
/* A cache entry of the kernel's, no route that anybody made. */
bool route_is_cloned(const struct nlmsghdr *message);

/* vxlan.c */
void vxlan_parse(const struct rtattr *data, struct denim_link *out);
/* Writes IFLA_INFO_DATA; with `have`, only what differs from it. -EOPNOTSUPP for what no attribute can express. */
int vxlan_put(struct nl_buffer *b, const struct denim_link *want, const struct denim_link *have);

/*
 * changes.c: what a monitor has found and nobody has taken, and whose neighbours and routes count there.
 */
enum { WATCH_DEVICES = 64, WATCH_NETWORKS = 16 };

struct watched {
	uint32_t device_count; /* above WATCH_DEVICES: every device counts */
	uint32_t network_count; /* above WATCH_NETWORKS: every destination does */
	uint32_t devices[WATCH_DEVICES];
	struct denim_prefix networks[WATCH_NETWORKS];
};

struct changes {
	struct denim_change *ring; /* of DENIM_CHANGES */
	uint32_t first, count;
	bool lost; /* something was dropped since the last pull */
};

void watch_only(struct watched *watched, const uint32_t *indexes, uint32_t index_count,
		const struct denim_prefix *networks, uint32_t network_count);
void watch_everything(struct watched *watched);
bool watches_device(const struct watched *watched, uint32_t index);
/* Fills `out` and says whether the change is one to hand over. */
bool change_parse(const struct nlmsghdr *message, uint32_t own_port, const struct watched *watched,
		  struct denim_change *out);
void changes_push(struct changes *changes, const struct denim_change *change);
/* Moves the oldest to `out`. */
uint32_t changes_pull(struct changes *changes, struct denim_change *out, uint32_t capacity);

/* monitor.c: takes one datagram in. Its changes go to `changes`, the mask of what it tells is the answer. */
uint32_t monitor_events(const uint8_t *bytes, size_t length, uint32_t own_port, const struct watched *watched,
			struct changes *changes);

#endif
