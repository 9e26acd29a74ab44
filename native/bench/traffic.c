/*
 * UDP traffic for the benchmarks: many small datagrams one way, or one at a time there and back.
 *
 *   count ADDRESS PORT                  says "ready"; counts datagrams from the first one until none comes for half a second
 *   flood ADDRESS PORT SECONDS LENGTH   one datagram a system call, as fast as they go
 *   echo  ADDRESS PORT                  says "ready"; sends every datagram back
 *   ask   ADDRESS PORT SECONDS LENGTH   the next question once the last one was answered; round-trip times
 *
 * Plain sockets with the system's defaults. Prints JSON; an answer that takes more than 100 ms counts as lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH_MAX = 2048, BATCH = 64, TIMES_MAX = 1 << 20, SILENCE = 500, PATIENCE = 100 /* ms */ };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static union address parse(const char *text, const char *port)
{
	union address address = { .v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) } };

	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
		return address;
	address = (union address){ .v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) } };
	if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
		return address;
	errno = EINVAL;
	fail(text);
	return address;
}

static int open_socket(const union address *address, bool server, int patience)
{
	socklen_t length = address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
	struct timeval limit = { .tv_usec = patience * 1000 };
	int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		fail("socket");
	if ((server ? bind(fd, &address->any, length) : connect(fd, &address->any, length)) < 0)
		fail(server ? "bind" : "connect");
	if (server) {
		puts("ready");
		fflush(stdout);
	}
	return fd;
}

static void count(int fd)
{
	static uint8_t bytes[LENGTH_MAX];
	uint64_t packets = 0, first = 0, last = 0;
	bool got;

	while ((got = recv(fd, bytes, sizeof(bytes), 0) >= 0) || packets == 0) {
		if (!got)
			continue;
		last = nanoseconds();
		first = first ? first : last;
		packets++;
	}
	printf("{\"packets\":%llu,\"seconds\":%.4f}\n", (unsigned long long)packets, (double)(last - first) / 1e9);
}

static void flood(int fd, uint64_t until, size_t length)
{
	static const uint8_t bytes[LENGTH_MAX];
	uint64_t sent = 0;

	while (nanoseconds() < until) {
		for (int i = 0; i < BATCH; i++)
			sent += send(fd, bytes, length, 0) >= 0;
	}
	printf("{\"sent\":%llu}\n", (unsigned long long)sent);
}

static void echo(int fd)
{
	static uint8_t bytes[LENGTH_MAX];

	for (;;) {
		union address from;
		socklen_t length = sizeof(from);
		ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, &from.any, &length);

		if (got >= 0 && sendto(fd, bytes, (size_t)got, 0, &from.any, length) < 0)
			fail("sendto");
	}
}

static int by_value(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The answer to this question: late ones to former questions are passed over. */
static bool answered(int fd, uint64_t question)
{
	uint8_t bytes[LENGTH_MAX];
	uint64_t answer;

	for (;;) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

		if (got < (ssize_t)sizeof(answer))
			return false;
		memcpy(&answer, bytes, sizeof(answer));
		if (answer == question)
			return true;
	}
}

static void ask(int fd, uint64_t until, size_t length)
{
	static uint32_t times[TIMES_MAX];
	static uint8_t bytes[LENGTH_MAX];
	uint32_t number = 0, lost = 0;
	uint64_t start;

	while ((start = nanoseconds()) < until && number < TIMES_MAX) {
		memcpy(bytes, &start, sizeof(start));
		if (send(fd, bytes, length, 0) < 0)
			fail("send");
		if (answered(fd, start))
			times[number++] = (uint32_t)(nanoseconds() - start);
		else
			lost++;
	}
	if (number == 0) {
		errno = ETIMEDOUT;
		fail("ask");
	}
	qsort(times, number, sizeof(times[0]), by_value);
	printf("{\"answers\":%u,\"lost\":%u,\"p50\":%.2f,\"p99\":%.2f}\n", number, lost, times[number / 2] / 1e3,
	       times[(uint64_t)number * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	bool client = argc == 6, server = argc == 4;
	union address address;
	uint64_t until;
	size_t length;

	if (!client && !server) {
		fprintf(stderr, "usage: %s count|echo ADDRESS PORT\n       %s flood|ask ADDRESS PORT SECONDS LENGTH\n", argv[0], argv[0]);
		return 2;
	}
	address = parse(argv[2], argv[3]);
	if (server) {
		(strcmp(argv[1], "count") == 0 ? count : echo)(open_socket(&address, true, strcmp(argv[1], "count") == 0 ? SILENCE : 0));
		return 0;
	}
	length = (size_t)atoi(argv[5]);
	length = length < sizeof(uint64_t) ? sizeof(uint64_t) : length > LENGTH_MAX ? LENGTH_MAX : length;
	until = nanoseconds() + (uint64_t)(atof(argv[4]) * 1e9);
	(strcmp(argv[1], "flood") == 0 ? flood : ask)(open_socket(&address, false, PATIENCE), until, length);
	return 0;
}
