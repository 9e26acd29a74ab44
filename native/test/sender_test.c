/*
 * Every sender towards a plain socket: the same packets arrive, from which ports, in which messages; and what becomes of a
 * sender that cannot be. The raw one needs the right to open such a socket; without it its tests are said to be not run.
 */
#include "bench.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FLOWS = 200, SOURCES = 16 };

static struct denim_udp_settings settings_of(enum denim_udp_sender sender)
{
	return (struct denim_udp_settings){ .sender = (uint8_t)sender, .sources = SOURCES, .bind_v4 = 1, .bind_v6 = 1,
					    .address_v4 = { 127, 0, 0, 1 }, .address_v6 = { [15] = 1 } };
}

static void open_for(struct bench *bench, const struct denim_udp_settings *settings, uint32_t features)
{
	int size = 1 << 24;

	open_bench_as(bench, settings, features, 0);
	setsockopt(bench->wire, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

/* The source port of the next right packet of that inner port, 0 for none. */
static uint16_t next_source(int fd, uint16_t *inner)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	ssize_t length = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &size);
	uint8_t protocol;

	if (length <= 0)
		return 0;
	CHECK(right(buffer, (uint32_t)length));
	*inner = get_u16(buffer + find_transport(buffer, &protocol));
	return ntohs(from.ss_family == AF_INET ? ((struct sockaddr_in *)&from)->sin_port : ((struct sockaddr_in6 *)&from)->sin6_port);
}

/* Sends a super-packet of 5 in each flow, twice over; how many ports they came from, each flow from one. */
static uint32_t ports_of_flows(struct bench *bench, int wire, uint8_t family)
{
	static uint8_t bytes[PACKET_ROOM];
	struct shape shape = stream;
	uint16_t ports[FLOWS] = { 0 }, inner = 0, port;
	bool seen[65536] = { false };
	uint32_t packets = 0, different = 0;
	struct virtio_net_hdr header = super_of(1000);

	shape.family = family;
	shape.payload = 4001;
	header.gso_type = family == DENIM_V4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	for (uint32_t i = 0; i < 2 * FLOWS; i++) {
		shape.port = (uint16_t)(i % FLOWS);
		from_device(bench, header, bytes, put_packet(bytes, &shape));
		for (; (port = next_source(wire, &inner)); packets++) {
			CHECK(inner == i % FLOWS && (ports[inner] == 0 || ports[inner] == port));
			ports[inner] = port;
			different += !seen[port];
			seen[port] = true;
		}
	}
	CHECK(packets == 10 * FLOWS && counter(bench, DROPS + DENIM_DROP_SEND) == 0);
	return different;
}

static void one_socket_has_one_port(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_SOCKET);
	struct bench bench;

	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	CHECK(bench.udp.sender->kind == DENIM_UDP_SOCKET && bench.udp.sender_error == 0);
	CHECK(ports_of_flows(&bench, bench.wire, DENIM_V4) == 1);
	close_bench(&bench);
}

static void a_pool_spreads_flows_over_its_ports(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_POOL);
	struct bench bench;

	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	CHECK(bench.udp.sender->kind == DENIM_UDP_POOL && bench.udp.sender_error == 0);
	CHECK(ports_of_flows(&bench, bench.wire, DENIM_V4) == SOURCES);
	CHECK(counter(&bench, SENT_MESSAGES) == 2 * FLOWS);
	CHECK(ports_of_flows(&bench, bench.wire, DENIM_V6) == SOURCES);
	close_bench(&bench);
}

/* Two flows of different sockets in turns, read in one go: no message holds both, and none overtakes. */
static void flows_of_a_pool_share_no_message(void)
{
	static uint8_t bytes[2][PACKET_ROOM];
	struct denim_udp_settings settings = settings_of(DENIM_UDP_POOL);
	struct virtio_net_hdr none = { 0 };
	struct shape shape = stream;
	struct packet packet;
	struct bench bench;
	uint16_t port = 0, ports[2], inner = 0;
	uint32_t length = 0, flows[2];

	shape.payload = 500;
	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	do {
		for (uint16_t i = 0; i < 2; i++) {
			shape.port = (uint16_t)(port + i);
			length = put_packet(bytes[i], &shape);
			CHECK(packet_parse(bytes[i], length, &packet));
			flows[i] = packet_flow(bytes[i], &packet);
		}
		port++;
	} while (flows[0] / (UINT32_MAX / SOURCES) == flows[1] / (UINT32_MAX / SOURCES));
	for (int i = 0; i < 10; i++) {
		struct iovec parts[] = { { &none, sizeof(none) }, { bytes[i % 2], length } };

		CHECK(writev(bench.device, parts, 2) > 0);
	}
	CHECK(udp_from_device(bench.queue) == 1 && counter(&bench, SENT_MESSAGES) == 10);
	for (int i = 0; i < 10; i++) {
		uint16_t from = next_source(bench.wire, &inner);

		CHECK(from != 0 && inner == port - 1 + i % 2 && (i < 2 || ports[i % 2] == from));
		ports[i % 2] = from;
	}
	CHECK(ports[0] != ports[1]);
	close_bench(&bench);
}

static void a_pool_receives_nothing(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_POOL);
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	struct bench bench;

	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	CHECK(getsockname(bench.udp.out[0][3], (struct sockaddr *)&address, &size) == 0);
	CHECK(sendto(bench.wire, "hello", 5, 0, (struct sockaddr *)&address, size) == 5);
	CHECK(recv(bench.udp.out[0][3], buffer, sizeof(buffer), MSG_DONTWAIT) < 0 && errno == EAGAIN);
	close_bench(&bench);
}

static void plain_sends_and_receives_packet_by_packet(void)
{
	static uint8_t bytes[PACKET_ROOM];
	struct denim_udp_settings settings = settings_of(DENIM_UDP_SOCKET);
	struct shape shape = stream;
	struct bench bench;
	uint16_t inner;
	uint32_t length;
	ssize_t got;

	settings.plain = 1;
	shape.payload = 1000;
	open_for(&bench, &settings, 0);
	length = put_packet(bytes, &shape);
	for (int i = 0; i < 10; i++)
		CHECK(write(bench.device, bytes, length) == (ssize_t)length);
	for (uint64_t i = 1; i <= 10; i++)
		CHECK(udp_from_device(bench.queue) == 1 && counter(&bench, DEVICE_READS) == i);
	CHECK(udp_from_device(bench.queue) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(next_source(bench.wire, &inner) != 0 && buffer[8] == 63);
	CHECK(counter(&bench, SENT_MESSAGES) == 10);
	reach(&bench);
	for (int i = 0; i < 10; i++)
		CHECK(send(bench.wire, bytes, length, 0) == (ssize_t)length);
	for (uint64_t i = 1; i <= 10; i++) {
		CHECK(udp_from_wire(bench.queue, bench.queue->v4) == 1 && counter(&bench, RECEIVED_MESSAGES) == i);
		got = recv(bench.device, buffer, sizeof(buffer), 0);
		CHECK(got == (ssize_t)length && right(buffer, length) && buffer[8] == 63);
	}
	CHECK(udp_from_wire(bench.queue, bench.queue->v4) == 0);
	close_bench(&bench);
}

static void a_raw_socket_has_a_port_for_each_flow(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_RAW);
	struct bench bench;

	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	CHECK(bench.udp.sender->kind == DENIM_UDP_RAW && bench.udp.sender_error == 0);
	CHECK(ports_of_flows(&bench, bench.wire, DENIM_V4) > FLOWS * 9 / 10);
	CHECK(counter(&bench, SENT_MESSAGES) == 10 * FLOWS);
	close_bench(&bench);
}

/* The kernel drops what has a wrong checksum, or over IPv6 none. */
static void a_raw_socket_reaches_ipv6_too(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_RAW);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct bench bench;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0) {
		printf("not run: the raw sender over IPv6 (there is none here)\n");
		return;
	}
	CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	bench.queue->v6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < 2; i++) {
		struct peer *peer = bench.table->peers[i];

		peer->record.underlay_family = DENIM_V6;
		memcpy(peer->record.address, &address.sin6_addr, 16);
		peer->record.port = ntohs(address.sin6_port);
		peer->to.v6 = address;
		peer->to_length = sizeof(address);
	}
	CHECK(ports_of_flows(&bench, fd, DENIM_V4) > FLOWS * 9 / 10);
	close(bench.queue->v6);
	close(fd);
	close_bench(&bench);
}

/* Odd lengths of parts turn the bytes of those behind them. */
static void a_raw_checksum_holds_for_any_parts(void)
{
	struct denim_udp udp = { .settings = settings_of(DENIM_UDP_RAW) };
	struct peer peer = { .record = { .underlay_family = DENIM_V4, .address = { 127, 0, 0, 9 }, .port = 8285 } };
	uint8_t outer[UDP_OUTER_MAX], bytes[300], whole[UDP_OUTER_MAX + 300];
	uint64_t state = 7;

	for (uint32_t round = 0; round < 5000; round++) {
		uint32_t length = 1 + next_random(&state) % 300, cut = next_random(&state) % length;
		struct iovec parts[] = { { bytes, cut }, { bytes + cut, length - cut } };

		for (uint32_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)next_random(&state);
		CHECK(udp_sender_raw.head(&udp, &peer, next_random(&state), parts, 2, outer) == 28);
		memcpy(whole, outer, 28);
		memcpy(whole + 28, bytes, length);
		CHECK(get_u16(whole + 24) == 8 + length && get_u16(whole + 26) != 0);
		CHECK(slow_sum(slow_pseudo(whole, DENIM_V4, IPPROTO_UDP, 8 + length), whole + 20, 8 + length) == 0xffff);
	}
}

static void a_raw_socket_without_a_definite_address_is_none(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_RAW);
	struct bench bench;

	memset(settings.address_v6, 0, 16);
	open_for(&bench, &settings, DENIM_UDP_SEGMENT);
	CHECK(bench.udp.sender->kind == DENIM_UDP_SOCKET && bench.udp.sender_error == -EDESTADDRREQ);
	CHECK(bench.udp.out[0][0] == -1 && ports_of_flows(&bench, bench.wire, DENIM_V4) == 1);
	close_bench(&bench);
}

static void drop_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	CHECK(syscall(SYS_capset, &header, none) == 0);
}

static void without_the_right_it_is_the_socket(void)
{
	struct denim_udp_settings settings = settings_of(DENIM_UDP_RAW);
	struct bench bench;
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		drop_rights();
		open_for(&bench, &settings, DENIM_UDP_SEGMENT);
		CHECK(bench.udp.sender->kind == DENIM_UDP_SOCKET && bench.udp.sender_error == -EPERM);
		CHECK(ports_of_flows(&bench, bench.wire, DENIM_V4) == 1);
		close_bench(&bench);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static bool may_open_raw(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(void)
{
	RUN(one_socket_has_one_port);
	RUN(a_pool_spreads_flows_over_its_ports);
	RUN(flows_of_a_pool_share_no_message);
	RUN(a_pool_receives_nothing);
	RUN(plain_sends_and_receives_packet_by_packet);
	RUN(a_raw_checksum_holds_for_any_parts);
	RUN(a_raw_socket_without_a_definite_address_is_none);
	RUN(without_the_right_it_is_the_socket);
	if (!may_open_raw()) {
		printf("not run: the raw sender (it needs CAP_NET_RAW)\n");
		return 0;
	}
	RUN(a_raw_socket_has_a_port_for_each_flow);
	RUN(a_raw_socket_reaches_ipv6_too);
	return 0;
}
