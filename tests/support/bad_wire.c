/*
 * A bad wire, for tests: carries Ethernet frames between two interfaces, both ways, and loses, doubles, swaps and damages
 * some of those with IP inside.
 *
 *     bad_wire DEVICE DEVICE SEED DROP DOUBLE SWAP DAMAGE DISGUISE
 *
 * The last five are of a thousand frames. A swapped frame is held back behind up to seven later ones, or for 5 ms. A damaged
 * one has one bit flipped behind its Ethernet header. A disguised one, too, but in the payload of a UDP datagram, whose
 * checksum is then made to fit: what is carried inside arrives damaged, and its own checksums are left as they are.
 *
 * The same seed decides the same of the n-th IP frame of a direction. Frames must be whole: a super-frame, or one whose
 * checksum the sender left to its device, ends the program. It prints `ready`, and on SIGTERM what it has done.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 65536 + ETH_HLEN, LONGEST = 9000 + ETH_HLEN, HELD = 8, PATIENCE = 5 /* ms */, BUFFER = 8 * 1024 * 1024 };
enum fate { DROP, DOUBLE, SWAP, DAMAGE, DISGUISE, FATES };

struct held {
	uint8_t bytes[LONGEST];
	size_t length;
	uint32_t behind; /* this many frames more */
};

struct direction {
	int in, out;
	uint64_t random;
	uint64_t carried, done[FATES];
	struct held held[HELD];
	int count;
};

static uint32_t per_mille[FATES];
static volatile sig_atomic_t stopping;

static void stop(int signal)
{
	(void)signal;
	stopping = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "bad_wire: %s: %s\n", what, strerror(errno));
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

static int open_device(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, size = BUFFER;

	address.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || address.sll_ifindex == 0)
		fail(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		fail("set socket options");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(name);
	return fd;
}

static void emit(struct direction *d, const uint8_t *bytes, size_t length)
{
	/* A device that is down or full loses it, as wires do. */
	if (send(d->out, bytes, length, 0) < 0 && errno != ENETDOWN && errno != ENOBUFS && errno != EAGAIN)
		fail("send a frame");
}

static void release(struct direction *d, int all)
{
	int left = 0;

	for (int i = 0; i < d->count; i++) {
		if (all || d->held[i].behind-- == 0)
			emit(d, d->held[i].bytes, d->held[i].length);
		else if (i != left)
			d->held[left++] = d->held[i];
		else
			left++;
	}
	d->count = left;
}

static int is_ip(const uint8_t *bytes)
{
	uint16_t type = (uint16_t)(bytes[12] << 8 | bytes[13]);

	return type == ETH_P_IP || type == ETH_P_IPV6;
}

/* Where a whole UDP datagram begins, and its length; 0: there is none. */
static size_t find_udp(const uint8_t *bytes, size_t length, size_t *datagram)
{
	const uint8_t *ip = bytes + ETH_HLEN;
	size_t at = bytes[12] == 0x08 ? ETH_HLEN + (ip[0] & 15u) * 4 : ETH_HLEN + 40;

	if (length < ETH_HLEN + 40 || length < at + 8)
		return 0;
	if (bytes[12] == 0x08 ? ip[9] != IPPROTO_UDP || ((ip[6] & 0x3f) | ip[7]) != 0 : ip[6] != IPPROTO_UDP)
		return 0;
	*datagram = (size_t)(bytes[at + 4] << 8 | bytes[at + 5]);
	return *datagram > 8 && at + *datagram <= length ? at : 0;
}

static uint32_t word(const uint8_t *bytes, size_t at, size_t end)
{
	return (uint32_t)bytes[at] << 8 | (at + 1 < end ? bytes[at + 1] : 0);
}

/* RFC 1624. */
static void disguise(struct direction *d, uint8_t *bytes, size_t length)
{
	size_t datagram, udp = find_udp(bytes, length, &datagram), at, pair;
	uint32_t before, sum;

	if (udp == 0 || word(bytes, udp + 6, udp + 8) == 0)
		return;
	at = udp + 8 + next(&d->random) % (datagram - 8);
	pair = at - ((at - udp) & 1);
	before = word(bytes, pair, udp + datagram);
	bytes[at] ^= (uint8_t)(1 << next(&d->random) % 8);
	sum = (~word(bytes, udp + 6, udp + 8) & 0xffff) + (~before & 0xffff) + word(bytes, pair, udp + datagram);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	sum = sum == 0 ? 0xffff : sum;
	bytes[udp + 6] = (uint8_t)(sum >> 8);
	bytes[udp + 7] = (uint8_t)sum;
	d->done[DISGUISE]++;
}

static void hold(struct direction *d, const uint8_t *bytes, size_t length)
{
	struct held *held = &d->held[d->count++];

	memcpy(held->bytes, bytes, length);
	held->length = length;
	held->behind = 1 + (uint32_t)(next(&d->random) % 7);
	d->done[SWAP]++;
}

/* One frame with IP inside. */
static void treat(struct direction *d, uint8_t *bytes, size_t length)
{
	int happens[FATES];

	for (int i = 0; i < FATES; i++)
		happens[i] = next(&d->random) % 1000 < per_mille[i];
	if (happens[DROP]) {
		d->done[DROP]++;
		return;
	}
	if (happens[DISGUISE]) {
		disguise(d, bytes, length);
	} else if (happens[DAMAGE]) {
		bytes[ETH_HLEN + next(&d->random) % (length - ETH_HLEN)] ^= (uint8_t)(1 << next(&d->random) % 8);
		d->done[DAMAGE]++;
	}
	if (happens[SWAP] && d->count < HELD)
		hold(d, bytes, length);
	else
		emit(d, bytes, length);
	if (happens[DOUBLE]) {
		emit(d, bytes, length);
		d->done[DOUBLE]++;
	}
}

static void check_whole(struct msghdr *head, size_t length)
{
	struct tpacket_auxdata said = { 0 };
	struct cmsghdr *control = CMSG_FIRSTHDR(head);

	if (control)
		memcpy(&said, CMSG_DATA(control), sizeof(said));
	errno = EMSGSIZE;
	if (length > LONGEST)
		fail("a super-frame: segmentation must be off in front of this wire");
	errno = EPROTO;
	if (said.tp_status & TP_STATUS_CSUMNOTREADY)
		fail("a frame without its checksum: that must be made in front of this wire");
}

/* Until nothing is left. */
static void carry(struct direction *d)
{
	static uint8_t bytes[ROOM];
	uint8_t control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	ssize_t length;

	for (;;) {
		struct iovec part = { bytes, sizeof(bytes) };
		struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				       .msg_controllen = sizeof(control) };

		length = recvmsg(d->in, &head, MSG_DONTWAIT);
		if (length < 0 && errno != EAGAIN && errno != ENETDOWN)
			fail("receive a frame");
		if (length < ETH_HLEN)
			return;
		check_whole(&head, (size_t)length);
		d->carried++;
		if (is_ip(bytes) && length > ETH_HLEN)
			treat(d, bytes, (size_t)length);
		else
			emit(d, bytes, (size_t)length);
		release(d, 0);
	}
}

static void report(const struct direction *both)
{
	static const char *const names[FATES] = { "dropped", "doubled", "swapped", "damaged", "disguised" };

	printf("{\"carried\":%llu", (unsigned long long)(both[0].carried + both[1].carried));
	for (int i = 0; i < FATES; i++)
		printf(",\"%s\":%llu", names[i], (unsigned long long)(both[0].done[i] + both[1].done[i]));
	printf("}\n");
}

int main(int argc, char **argv)
{
	static struct direction both[2];
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct sigaction action = { .sa_handler = stop };
	struct timespec patience = { .tv_nsec = PATIENCE * 1000000 };
	sigset_t blocked, before;

	if (argc != 4 + FATES)
		return 2;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigaction(SIGTERM, &action, NULL);
	for (int i = 0; i < FATES; i++)
		per_mille[i] = (uint32_t)atoi(argv[4 + i]);
	for (int i = 0; i < 2; i++) {
		fds[i].fd = both[i].in = both[!i].out = open_device(argv[1 + i]);
		both[i].random = strtoull(argv[3], NULL, 10) * 2 + (uint64_t)i;
	}
	printf("ready\n");
	fflush(stdout);
	while (!stopping) {
		if (ppoll(fds, 2, both[0].count + both[1].count > 0 ? &patience : NULL, &before) == 0) {
			release(&both[0], 1);
			release(&both[1], 1);
		}
		carry(&both[0]);
		carry(&both[1]);
	}
	report(both);
	return 0;
}
