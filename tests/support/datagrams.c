/*
 * Datagrams whose content is known, for tests; and some of which nothing is known.
 *
 *     datagrams receive PORT TRAINS SIZE...
 *     datagrams send ADDRESS PORT TRAINS SIZE...
 *     datagrams noise ADDRESS PORT MILLISECONDS SEED
 *
 * A train is sixteen datagrams of one size, the n-th has the n-th size, from the first again behind the last. They leave in
 * one call (UDP_SEGMENT) where the kernel takes that, and one by one where not. The number of a datagram is its first four
 * bytes; the others follow from it, and so does its length: whatever differs was damaged on the way.
 *
 * `receive` prints `ready`, ends when nothing has come for a second, and prints as JSON how many came of those sent, how many
 * came again, and how many were damaged.
 *
 * `noise` sends random bytes of random length, every second time behind what looks like a header of IPv4 or IPv6.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { TRAIN = 16, LONGEST = 65507, SIZES = 32, PAUSE = 1000 /* µs */, FIRST = 30, LAST = 1 /* s */, NOISE = 2000 };

static uint32_t sizes[SIZES], size_count;

static void fail(const char *what)
{
	fprintf(stderr, "datagrams: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill_random(uint64_t *state, uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 8) {
		uint64_t value = next(state);

		memcpy(bytes + i, &value, length - i < 8 ? length - i : 8);
	}
}

static uint32_t size_of(uint32_t number)
{
	return sizes[number / TRAIN % size_count];
}

static void fill(uint8_t *bytes, uint32_t number)
{
	uint64_t state = number;

	memcpy(bytes, &number, sizeof(number));
	fill_random(&state, bytes + sizeof(number), size_of(number) - sizeof(number));
}

static uint32_t read_sizes(char **words, int count)
{
	if (count < 2 || count > SIZES)
		exit(2);
	for (int i = 1; i < count; i++) {
		sizes[size_count++] = (uint32_t)atoi(words[i]);
		if (sizes[i - 1] < sizeof(uint32_t) || sizes[i - 1] > LONGEST)
			exit(2);
	}
	return (uint32_t)atoi(words[0]) * TRAIN;
}

static int connect_to(const char *address, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST }, *found;
	int fd = -1, size = 4 * 1024 * 1024;

	if (getaddrinfo(address, port, &hints, &found) == 0)
		fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0 ||
	    connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		fail(address);
	freeaddrinfo(found);
	return fd;
}

/* What an ICMP message said of an earlier one does not matter. */
static void send_plainly(int fd, const uint8_t *bytes, size_t length)
{
	for (int tries = 0; tries < 2 && send(fd, bytes, length, 0) < 0; tries++) {
		if (errno == EMSGSIZE)
			fail("send");
	}
}

static int send_at_once(int fd, uint8_t *bytes, uint32_t size)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .header = { .cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(uint16_t)) } };
	struct iovec part = { bytes, (size_t)size * TRAIN };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	uint16_t segment = (uint16_t)size;

	memcpy(CMSG_DATA(&control.header), &segment, sizeof(segment));
	return sendmsg(fd, &head, 0) >= 0;
}

static int run_send(const char *address, const char *port, uint32_t count)
{
	static uint8_t bytes[TRAIN * LONGEST];
	const struct timespec pause = { .tv_nsec = PAUSE * 1000 };
	int fd = connect_to(address, port);

	for (uint32_t number = 0; number < count; number += TRAIN) {
		uint32_t size = size_of(number);

		for (uint32_t i = 0; i < TRAIN; i++)
			fill(bytes + (size_t)i * size, number + i);
		if (!send_at_once(fd, bytes, size)) {
			for (uint32_t i = 0; i < TRAIN; i++)
				send_plainly(fd, bytes + (size_t)i * size, size);
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int listen_at(const char *port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 16 * 1024 * 1024;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(port);
	return fd;
}

static void wait_at_most(int fd, time_t seconds)
{
	struct timeval time = { .tv_sec = seconds };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) < 0)
		fail("set the time to wait");
}

static int is_sent(const uint8_t *bytes, size_t length, uint32_t count, uint32_t *number)
{
	static uint8_t expected[LONGEST];

	if (length < sizeof(*number))
		return 0;
	memcpy(number, bytes, sizeof(*number));
	if (*number >= count || length != size_of(*number))
		return 0;
	fill(expected, *number);
	return memcmp(bytes, expected, length) == 0;
}

static int run_receive(const char *port, uint32_t count)
{
	static uint8_t bytes[LONGEST + 1];
	uint8_t *seen = calloc(count, 1);
	uint32_t received = 0, doubled = 0, damaged = 0, number;
	int fd = listen_at(port);
	ssize_t length;

	if (!seen)
		fail("allocate");
	wait_at_most(fd, FIRST);
	printf("ready\n");
	fflush(stdout);
	for (int first = 1; (length = recv(fd, bytes, sizeof(bytes), 0)) >= 0; first = 0) {
		if (first)
			wait_at_most(fd, LAST);
		if (!is_sent(bytes, (size_t)length, count, &number))
			damaged++;
		else if (seen[number]++)
			doubled++;
		else
			received++;
	}
	printf("{\"sent\":%u,\"received\":%u,\"doubled\":%u,\"damaged\":%u}\n", count, received, doubled, damaged);
	free(seen);
	return 0;
}

static void put_header(uint64_t *state, uint8_t *bytes, uint16_t length)
{
	uint64_t choice = next(state);

	bytes[0] = choice & 1 ? 0x45 : 0x60;
	/* Often the length that fits, the protocol TCP or UDP. */
	if (choice & 2) {
		uint16_t said = htons(choice & 1 ? length : (uint16_t)(length - 40));

		memcpy(bytes + (choice & 1 ? 2 : 4), &said, sizeof(said));
	}
	if (choice & 4)
		bytes[choice & 1 ? 9 : 6] = choice & 8 ? IPPROTO_TCP : IPPROTO_UDP;
	/* A source of the overlay, as documentation and tests have it. */
	if (choice & 1 && choice & 16)
		memcpy(bytes + 12, (const uint8_t[]){ 10, 1 }, 2);
}

static int run_noise(const char *address, const char *port, uint64_t milliseconds, uint64_t state)
{
	uint8_t bytes[NOISE];
	int fd = connect_to(address, port);
	struct timespec now, start;
	uint32_t sent = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		size_t length = next(&state) % NOISE;

		fill_random(&state, bytes, length);
		if (length >= 40 && next(&state) & 1)
			put_header(&state, bytes, (uint16_t)length);
		sent += send(fd, bytes, length, 0) >= 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((uint64_t)(now.tv_sec - start.tv_sec) * 1000 + (uint64_t)((now.tv_nsec - start.tv_nsec) / 1000000) < milliseconds);
	printf("%u\n", sent);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 4 && strcmp(argv[1], "receive") == 0)
		return run_receive(argv[2], read_sizes(argv + 3, argc - 3));
	if (argc > 5 && strcmp(argv[1], "send") == 0)
		return run_send(argv[2], argv[3], read_sizes(argv + 4, argc - 4));
	if (argc == 6 && strcmp(argv[1], "noise") == 0)
		return run_noise(argv[2], argv[3], strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10));
	return 2;
}
