/*
 * From whom a queue takes packets: from a peer's public address and any port; where moved peers are accepted, also from the
 * first other address with a valid inner source. Everything else is counted by its reason.
 */
#include "bench.h"

#include <errno.h>

/* A socket on 127.0.0.`last`, towards the queue. */
static int from_address(const struct bench *bench, uint8_t last)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1u + last) }, ours;
	socklen_t size = sizeof(ours);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	CHECK(getsockname(bench->queue->v4, (struct sockaddr *)&ours, &size) == 0);
	CHECK(connect(fd, (struct sockaddr *)&ours, size) == 0);
	return fd;
}

/* Sends one datagram and says which counter rose. */
static uint32_t fate(struct bench *bench, uint8_t from, const uint8_t *bytes, uint32_t length)
{
	uint64_t before[COUNTERS];
	int fd = from_address(bench, from);
	uint32_t risen = COUNTERS;

	for (uint32_t i = 0; i < COUNTERS; i++)
		before[i] = counter(bench, i);
	CHECK(send(fd, bytes, length, 0) == (ssize_t)length);
	while (udp_from_wire(bench->queue, bench->queue->v4) > 0)
		;
	for (uint32_t i = 0; i < COUNTERS; i++) {
		bool of_interest = i == RECEIVED_PACKETS || i >= DROPS;

		if (of_interest && counter(bench, i) > before[i]) {
			CHECK(risen == COUNTERS && counter(bench, i) == before[i] + 1);
			risen = i;
		}
	}
	while (recv(bench->device, buffer, sizeof(buffer), 0) > 0)
		;
	close(fd);
	return risen;
}

static const struct shape good = { .family = DENIM_V4, .protocol = IPPROTO_UDP, .ttl = 9, .port = 4000, .payload = 100 };

static uint32_t fate_of_packet(struct bench *bench, uint8_t from, uint8_t inner_first)
{
	uint8_t bytes[512];
	uint32_t length = put_packet(bytes, &good);

	bytes[12] = inner_first;
	return fate(bench, from, bytes, length);
}

static void open_accepting(struct bench *bench, bool moved)
{
	open_bench_as(bench, &(struct denim_udp_settings){ .sources = 1, .accept_moved = moved }, 0, 0);
}

static void takes_from_known_addresses_only(void)
{
	struct bench bench;

	open_accepting(&bench, false);
	CHECK(fate_of_packet(&bench, 1, 10) == RECEIVED_PACKETS);
	CHECK(fate_of_packet(&bench, 2, 10) == DROPS + DENIM_DROP_STRANGER);
	CHECK(fate_of_packet(&bench, 2, 11) == DROPS + DENIM_DROP_STRANGER);
	CHECK(fate_of_packet(&bench, 1, 11) == DROPS + DENIM_DROP_SPOOFED);
	CHECK(bench.table->peers[0]->moved == MOVED_NOT);
	close_bench(&bench);
}

static void takes_from_where_a_peer_moved_first(void)
{
	struct bench bench;

	open_accepting(&bench, true);
	CHECK(fate_of_packet(&bench, 2, 11) == DROPS + DENIM_DROP_STRANGER);
	CHECK(fate_of_packet(&bench, 2, 10) == RECEIVED_PACKETS && bench.table->peers[0]->moved == MOVED);
	CHECK(fate_of_packet(&bench, 3, 10) == DROPS + DENIM_DROP_STRANGER);
	CHECK(fate_of_packet(&bench, 2, 10) == RECEIVED_PACKETS && fate_of_packet(&bench, 1, 10) == RECEIVED_PACKETS);
	CHECK(fate_of_packet(&bench, 2, 11) == DROPS + DENIM_DROP_STRANGER);
	CHECK(bench.table->peers[1]->moved == MOVED_NOT);
	close_bench(&bench);
}

/* A known address is its owner's: no other peer can be said to have moved there. */
static void a_peer_takes_no_other_s_place(void)
{
	struct denim_udp_peer records[] = {
		{ .family = DENIM_V4, .length = 16, .subnet = { 10, 1 }, .underlay_family = DENIM_V4, .address = { 127, 0, 0, 1 }, .port = 9 },
		{ .family = DENIM_V4, .length = 16, .subnet = { 11, 1 }, .underlay_family = DENIM_V4, .address = { 127, 0, 0, 2 }, .port = 9 },
	};
	struct bench bench;
	struct peer_table *table;
	int error;

	open_accepting(&bench, true);
	table = peers_build(records, 2, NULL, &seed, &error);
	CHECK(table != NULL);
	bench.queue->table = table;
	CHECK(fate_of_packet(&bench, 2, 10) == DROPS + DENIM_DROP_SPOOFED && table->peers[0]->moved == MOVED_NOT);
	CHECK(fate_of_packet(&bench, 3, 10) == RECEIVED_PACKETS && fate_of_packet(&bench, 3, 11) == RECEIVED_PACKETS);
	peers_free(table);
	close_bench(&bench);
}

static void a_changed_record_forgets_where_the_peer_moved(void)
{
	struct denim_udp_peer record = { .family = DENIM_V4, .length = 16, .subnet = { 10, 1 }, .underlay_family = DENIM_V4,
					 .address = { 127, 0, 0, 1 }, .port = 9 };
	struct peer_table *first, *second;
	struct bench bench;
	int error;

	open_accepting(&bench, true);
	first = peers_build(&record, 1, NULL, &seed, &error);
	bench.queue->table = first;
	CHECK(fate_of_packet(&bench, 2, 10) == RECEIVED_PACKETS);
	record.mtu = 1400;
	second = peers_build(&record, 1, first, &seed, &error);
	peers_free(first);
	bench.queue->table = second;
	CHECK(fate_of_packet(&bench, 3, 10) == DROPS + DENIM_DROP_STRANGER);
	record.address[3] = 7;
	first = peers_build(&record, 1, second, &seed, &error);
	peers_free(second);
	bench.queue->table = first;
	CHECK(fate_of_packet(&bench, 3, 10) == RECEIVED_PACKETS && fate_of_packet(&bench, 2, 10) == DROPS + DENIM_DROP_STRANGER);
	peers_free(first);
	close_bench(&bench);
}

/* What is no packet is dropped for that, of a peer; of anybody else for who it is from. */
static void counts_what_is_no_packet(void)
{
	uint8_t bytes[512];
	uint32_t length = put_packet(bytes, &good);
	struct bench bench;

	for (int moved = 0; moved < 2; moved++) {
		open_accepting(&bench, moved);
		CHECK(fate(&bench, 1, bytes, 0) == DROPS + DENIM_DROP_MALFORMED);
		CHECK(fate(&bench, 2, bytes, 0) == DROPS + DENIM_DROP_STRANGER);
		for (uint32_t cut = 1; cut < length; cut += 13)
			CHECK(fate(&bench, 1, bytes, cut) == DROPS + DENIM_DROP_MALFORMED);
		CHECK(fate(&bench, 2, bytes, length - 1) == DROPS + DENIM_DROP_STRANGER);
		bytes[0] = 0x55;
		CHECK(fate(&bench, 1, bytes, length) == DROPS + DENIM_DROP_MALFORMED);
		bytes[0] = 0x44;
		CHECK(fate(&bench, 1, bytes, length) == DROPS + DENIM_DROP_MALFORMED);
		bytes[0] = 0x45;
		bytes[8] = 1;
		CHECK(fate(&bench, 1, bytes, length) == DROPS + DENIM_DROP_TTL);
		bytes[8] = 9;
		close_bench(&bench);
	}
}

/* The longest datagram there is; a packet inside that is shorter is written as long as it says it is. */
static void takes_the_longest_datagram(void)
{
	static uint8_t bytes[UDP_MESSAGE_MAX];
	struct shape shape = good;
	struct bench bench;

	open_accepting(&bench, false);
	shape.payload = UDP_MESSAGE_MAX - 28;
	CHECK(put_packet(bytes, &shape) == UDP_MESSAGE_MAX);
	CHECK(fate(&bench, 1, bytes, UDP_MESSAGE_MAX) == RECEIVED_PACKETS);
	put_packet(bytes, &good);
	CHECK(fate(&bench, 1, bytes, UDP_MESSAGE_MAX) == RECEIVED_PACKETS && counter(&bench, RECEIVED_BYTES) == UDP_MESSAGE_MAX + 128);
	close_bench(&bench);
}

int main(void)
{
	RUN(takes_from_known_addresses_only);
	RUN(takes_from_where_a_peer_moved_first);
	RUN(a_peer_takes_no_other_s_place);
	RUN(a_changed_record_forgets_where_the_peer_moved);
	RUN(counts_what_is_no_packet);
	RUN(takes_the_longest_datagram);
	return 0;
}
