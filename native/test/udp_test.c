/*
 * What a queue sends and receives, drops and counts, without a device (bench.h).
 */
#include "bench.h"

#include <errno.h>

/* How many right packets the other end of the wire gets, one lower in TTL. */
static uint32_t arrived(struct bench *bench, uint8_t ttl)
{
	uint32_t count = 0;
	ssize_t length;

	for (; (length = recv(bench->wire, buffer, sizeof(buffer), 0)) > 0; count++)
		CHECK(right(buffer, (uint32_t)length) && buffer[8] == ttl);
	return count;
}

static void sends_a_super_packet_as_its_packets(uint32_t features, uint64_t messages)
{
	static uint8_t bytes[PACKET_ROOM];
	struct bench bench;

	open_bench(&bench, features, 0);
	from_device(&bench, super_of(1000), bytes, put_packet(bytes, &stream));
	CHECK(arrived(&bench, 63) == 60 && counter(&bench, SENT_PACKETS) == 60);
	CHECK(counter(&bench, SENT_MESSAGES) == messages && bench.table->peers[0]->sent_packets == 60);
	close_bench(&bench);
}

static void sends_with_and_without_segmentation(void)
{
	sends_a_super_packet_as_its_packets(DENIM_UDP_SEGMENT, 1);
	sends_a_super_packet_as_its_packets(0, 60);
}

/* More packets than there are slots: 60000 octets by 20. */
static void sends_more_than_it_can_gather(void)
{
	static uint8_t bytes[PACKET_ROOM];
	struct bench bench;
	int size = 1 << 24;

	open_bench(&bench, DENIM_UDP_SEGMENT, 0);
	setsockopt(bench.wire, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	from_device(&bench, super_of(20), bytes, put_packet(bytes, &stream));
	CHECK(counter(&bench, SENT_PACKETS) == 3000 && counter(&bench, SENT_MESSAGES) == 47);
	CHECK(arrived(&bench, 63) > 100);
	close_bench(&bench);
}

/* Only messages of several packets are refused: with checksums switched off, UDP_SEGMENT is invalid. */
static void goes_on_packet_by_packet_where_refused(void)
{
	static uint8_t bytes[PACKET_ROOM];
	struct bench bench;
	int one = 1;

	open_bench(&bench, DENIM_UDP_SEGMENT, 0);
	setsockopt(bench.queue->v4, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one));
	for (uint32_t round = 1; round <= 2; round++) {
		from_device(&bench, super_of(1000), bytes, put_packet(bytes, &stream));
		CHECK(arrived(&bench, 63) == 60 && counter(&bench, SENT_MESSAGES) == 60 * round);
		CHECK(bench.table->peers[0]->alone_until == UDP_ALONE && bench.table->peers[1]->alone_until == 0);
	}
	CHECK(counter(&bench, DROPS + DENIM_DROP_SEND) == 0);
	close_bench(&bench);
}

static void counts_what_it_does_not_send(void)
{
	static uint8_t bytes[PACKET_ROOM];
	struct virtio_net_hdr none = { 0 };
	struct shape shape = stream;
	struct bench bench;
	uint32_t length;

	open_bench(&bench, 0, 1200);
	shape.payload = 1000;
	length = put_packet(bytes, &shape);
	from_device(&bench, none, bytes, length - 1);
	CHECK(counter(&bench, DROPS + DENIM_DROP_MALFORMED) == 1);
	from_device(&bench, super_of(0), bytes, length);
	CHECK(counter(&bench, DROPS + DENIM_DROP_OFFLOAD) == 1);
	bytes[16] = 11;
	from_device(&bench, none, bytes, length);
	CHECK(counter(&bench, DROPS + DENIM_DROP_NO_PEER) == 1);
	shape.ttl = 1;
	from_device(&bench, none, bytes, put_packet(bytes, &shape));
	CHECK(counter(&bench, DROPS + DENIM_DROP_TTL) == 1);
	shape.ttl = 9;
	shape.payload = 1200;
	from_device(&bench, none, bytes, put_packet(bytes, &shape));
	CHECK(counter(&bench, DROPS + DENIM_DROP_TOO_BIG) == 1 && arrived(&bench, 8) == 0);
	shape.fragmentable = true;
	from_device(&bench, none, bytes, put_packet(bytes, &shape));
	CHECK(counter(&bench, DROPS + DENIM_DROP_TOO_BIG) == 1 && arrived(&bench, 8) == 1);
	close_bench(&bench);
}

/* Ten packets of a stream over the wire, then one turn. */
static void receive_ten(struct bench *bench)
{
	struct shape shape = stream;
	uint32_t length;

	shape.payload = 1000;
	for (int i = 0; i < 10; i++) {
		shape.identification = (uint16_t)i;
		length = put_packet(buffer, &shape);
		CHECK(send(bench->wire, buffer, length, 0) == (ssize_t)length);
		shape.sequence += 1000;
	}
	while (udp_from_wire(bench->queue, bench->queue->v4) > 0)
		;
}

static void receives_together_and_apart(void)
{
	const uint32_t batches = (10 + UDP_RECEIVES - 1) / UDP_RECEIVES;
	struct virtio_net_hdr header;
	struct bench bench;
	uint32_t packets = 0;
	ssize_t length;

	for (int together = 0; together < 2; together++) {
		open_bench(&bench, together ? DENIM_UDP_TSO : 0, 0);
		receive_ten(&bench);
		CHECK(counter(&bench, RECEIVED_PACKETS) == 10 && bench.table->peers[0]->received_packets == 10);
		CHECK(counter(&bench, DEVICE_WRITES) == (together ? batches : 10));
		for (packets = 0; (length = recv(bench.device, buffer, sizeof(buffer), 0)) > 0; packets++) {
			memcpy(&header, buffer, HEADER);
			CHECK((header.gso_type != 0) == together && buffer[HEADER + 8] == 63);
			CHECK(together || right(buffer + HEADER, (uint32_t)length - HEADER));
		}
		CHECK(packets == (together ? batches : 10));
		close_bench(&bench);
	}
}

/* The device takes no more than a few thousand octets at once: a socket of that buffer. */
static void writes_apart_what_the_device_refuses(void)
{
	struct bench bench;
	uint32_t packets = 0;
	int size = 2400;

	open_bench(&bench, DENIM_UDP_TSO, 0);
	setsockopt(bench.queue->tun, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	receive_ten(&bench);
	for (ssize_t length; (length = recv(bench.device, buffer, sizeof(buffer), 0)) > 0;) {
		CHECK(buffer[1] == VIRTIO_NET_HDR_GSO_NONE && right(buffer + HEADER, (uint32_t)length - HEADER));
		packets++;
	}
	CHECK(packets > 0 && packets == counter(&bench, DEVICE_WRITES));
	CHECK(counter(&bench, DEVICE_WRITES) + counter(&bench, DROPS + DENIM_DROP_DEVICE) == 10);
	close_bench(&bench);
}

static void drops_what_no_peer_sent(void)
{
	struct bench bench;
	struct peer_table *nobody, *others;
	struct denim_udp_peer records[2];
	int error;

	open_bench(&bench, DENIM_UDP_TSO, 0);
	for (int i = 0; i < 2; i++)
		records[i] = bench.table->peers[i]->record;
	records[0].address[3] = 9;
	others = peers_build(records, 2, NULL, &seed, &error);
	CHECK(others != NULL);
	bench.queue->table = others;
	receive_ten(&bench);
	CHECK(counter(&bench, DROPS + DENIM_DROP_SPOOFED) == 10 && counter(&bench, DEVICE_WRITES) == 0);
	nobody = peers_build(NULL, 0, NULL, &seed, &error);
	bench.queue->table = nobody;
	receive_ten(&bench);
	CHECK(counter(&bench, DROPS + DENIM_DROP_STRANGER) == 10 && counter(&bench, DEVICE_WRITES) == 0);
	peers_free(nobody);
	peers_free(others);
	close_bench(&bench);
}

static void tells_that_the_device_is_gone(void)
{
	struct bench bench;
	int fd;

	open_bench(&bench, 0, 0);
	fd = bench.queue->tun;
	bench.queue->tun = -1;
	CHECK(udp_from_device(bench.queue) == -EBADF);
	bench.queue->tun = fd;
	CHECK(udp_from_wire(bench.queue, bench.udp.stop_fd) == -ENOTSOCK);
	close_bench(&bench);
}

int main(void)
{
	RUN(sends_with_and_without_segmentation);
	RUN(sends_more_than_it_can_gather);
	RUN(goes_on_packet_by_packet_where_refused);
	RUN(counts_what_it_does_not_send);
	RUN(receives_together_and_apart);
	RUN(writes_apart_what_the_device_refuses);
	RUN(drops_what_no_peer_sent);
	RUN(tells_that_the_device_is_gone);
	return 0;
}
