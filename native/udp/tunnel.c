/*
 * The userspace datapath's threads and its face; see denim.h.
 *
 * A queue's thread says which peer table it reads before it does, and looks again whether it is still the current one: a
 * table that is neither current nor said by anybody can be freed. That is tried at every change and done at the end; nobody
 * ever waits for it.
 */
#include "udp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static void hold_table(struct queue *queue)
{
	const struct peer_table *table;

	do {
		table = atomic_load(&queue->udp->current);
		atomic_store(&queue->in_use, table);
	} while (table != atomic_load(&queue->udp->current));
	queue->table = table;
}

static uint32_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

static void let_table_go(struct queue *queue)
{
	queue->table = NULL;
	atomic_store(&queue->in_use, NULL);
}

/* Both ways, in turns, until nothing is left. 0, or a negative errno where the queue is of no more use. */
static int carry(struct queue *queue)
{
	int sides[3], result = 0, any = 1;

	while (any && result == 0 && !atomic_load(&queue->udp->stopping)) {
		any = 0;
		hold_table(queue);
		queue->now = seconds();
		sides[0] = udp_from_device(queue);
		sides[1] = udp_from_wire(queue, queue->v4);
		sides[2] = udp_from_wire(queue, queue->v6);
		let_table_go(queue);
		for (int i = 0; i < 3; i++) {
			any |= sides[i] > 0;
			result = sides[i] < 0 ? sides[i] : result;
		}
	}
	return result;
}

static void fail(struct queue *queue, int error)
{
	ssize_t written;

	atomic_store(&queue->failed, error);
	/* Where the pipe is full there is something to read already. */
	written = write(queue->udp->write_fd, "!", 1);
	(void)written;
}

static void *run(void *argument)
{
	struct queue *queue = argument;
	struct pollfd fds[] = {
		{ .fd = queue->udp->stop_fd, .events = POLLIN },
		{ .fd = queue->tun, .events = POLLIN },
		{ .fd = queue->v4, .events = POLLIN }, /* poll passes over a negative descriptor */
		{ .fd = queue->v6, .events = POLLIN },
	};
	int result = 0;

	while (result == 0) {
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			result = -errno;
		if (fds[0].revents)
			break;
		if (result == 0)
			result = carry(queue);
	}
	if (result < 0)
		fail(queue, result);
	return NULL;
}

static void close_if(bool condition, int fd)
{
	if (condition && fd >= 0)
		close(fd);
}

static void join(struct denim_udp *udp)
{
	uint64_t one = 1;

	atomic_store(&udp->stopping, true);
	if (udp->stop_fd >= 0) {
		ssize_t written = write(udp->stop_fd, &one, sizeof(one));
		(void)written;
	}
	for (uint32_t i = 0; i < udp->queue_count; i++) {
		if (udp->queues[i]->running)
			pthread_join(udp->queues[i]->thread, NULL);
	}
}

/* `all`: what was handed in, too; `keep`: nothing of the queues' descriptors. */
static void destroy(struct denim_udp *udp, bool all, bool keep)
{
	struct peer_table *table = atomic_load(&udp->current), *next;

	for (uint32_t i = 0; i < udp->queue_count; i++) {
		struct queue *queue = udp->queues[i];

		close_if(!keep && (all || queue->own_tun), queue->tun);
		close_if(!keep && (all || queue->own_v4), queue->v4);
		close_if(!keep && (all || queue->own_v6), queue->v6);
		free(queue);
	}
	peers_free(table);
	for (table = udp->retired; table; table = next) {
		next = table->next;
		peers_free(table);
	}
	close_if(true, udp->stop_fd);
	close_if(true, udp->write_fd);
	close_if(true, udp->raw_v4);
	close_if(true, udp->raw_v6);
	udp_close_sender(udp);
	free(udp);
}

static int add_queue(struct denim_udp *udp)
{
	struct queue *queue = aligned_alloc(64, (sizeof(*queue) + 63) / 64 * 64);

	if (!queue)
		return -ENOMEM;
	memset(queue, 0, sizeof(*queue));
	queue->udp = udp;
	queue->tun = queue->v4 = queue->v6 = -1;
	udp->queues[udp->queue_count++] = queue;
	return udp_open_queue(queue, udp->queue_count - 1);
}

static int open_all(struct denim_udp *udp)
{
	int result = 0, ends[2];

	udp->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (udp->stop_fd < 0)
		return -errno;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	udp->read_fd = ends[0];
	udp->write_fd = ends[1];
	/* Nobody may know it who can choose prefixes. */
	if (getrandom(&udp->seed, sizeof(udp->seed), 0) != (ssize_t)sizeof(udp->seed))
		return -EAGAIN;
	udp->current = peers_build(NULL, 0, NULL, &udp->seed, &result);
	udp_open_raw(udp);
	udp_open_sender(udp);
	while (result == 0 && udp->queue_count < udp->settings.queues)
		result = add_queue(udp);
	return result;
}

/* Those that do not run yet. */
static int start_threads(struct denim_udp *udp)
{
	sigset_t all, before;
	int result = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = 0; result == 0 && i < udp->queue_count; i++) {
		if (udp->queues[i]->running)
			continue;
		udp_receive_init(udp->queues[i]);
		result = -pthread_create(&udp->queues[i]->thread, NULL, run, udp->queues[i]);
		udp->queues[i]->running = result == 0;
		if (result == 0)
			pthread_setname_np(udp->queues[i]->thread, "denim-udp");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

static bool valid(const struct denim_udp_settings *settings)
{
	return settings->queues >= 1 && settings->queues <= DENIM_UDP_QUEUES && (settings->bind_v4 || settings->bind_v6) &&
	       memchr(settings->name, 0, sizeof(settings->name)) && settings->sender <= DENIM_UDP_RAW &&
	       settings->sources >= 1 && settings->sources <= DENIM_UDP_SOURCES;
}

struct denim_udp *denim_udp_start(const struct denim_udp_settings *settings, int32_t error[2])
{
	struct denim_udp *udp = NULL;
	int result = -EINVAL;

	error[1] = DENIM_STAGE_OTHER;
	if (!valid(settings))
		goto out;
	result = -ENOMEM;
	udp = calloc(1, sizeof(*udp));
	if (!udp)
		goto out;
	udp->settings = *settings;
	memcpy(udp->name, settings->name, sizeof(udp->name));
	memset(udp->out, 0xff, sizeof(udp->out));
	udp->stop_fd = udp->read_fd = udp->write_fd = udp->raw_v4 = udp->raw_v6 = -1;
	result = open_all(udp);
	if (result < 0) {
		error[1] = (int32_t)udp->stage;
		close_if(true, udp->read_fd);
		destroy(udp, false, false);
		udp = NULL;
	}
out:
	error[0] = result;
	return udp;
}

static bool used(const struct denim_udp *udp, const struct peer_table *table)
{
	for (uint32_t i = 0; i < udp->queue_count; i++) {
		if (atomic_load(&udp->queues[i]->in_use) == table)
			return true;
	}
	return false;
}

static void free_unused(struct denim_udp *udp)
{
	struct peer_table **at = &udp->retired, *table;

	while ((table = *at)) {
		if (used(udp, table)) {
			at = &table->next;
			continue;
		}
		*at = table->next;
		peers_free(table);
	}
}

static void swap(struct denim_udp *udp, struct peer_table *before, struct peer_table *table)
{
	atomic_store(&udp->current, table);
	before->next = udp->retired;
	udp->retired = before;
	free_unused(udp);
}

int32_t denim_udp_peers(struct denim_udp *udp, const struct denim_udp_peer *records, uint32_t count)
{
	struct peer_table *before = atomic_load(&udp->current), *table;
	int error;

	table = peers_build(records, count, before, &udp->seed, &error);
	if (!table)
		return error;
	swap(udp, before, table);
	return start_threads(udp);
}

int32_t denim_udp_icmp_sources(struct denim_udp *udp, const struct denim_udp_icmp *sources)
{
	struct peer_table *before = atomic_load(&udp->current), *table;
	int error;

	table = peers_again(before, &udp->seed, &error);
	if (table) {
		table->icmp = *sources;
		swap(udp, before, table);
	}
	return error;
}

static void add_queue_stats(const struct queue *queue, struct denim_udp_stats *stats)
{
	uint64_t *const targets[] = { &stats->sent_packets,	&stats->sent_bytes,	   &stats->sent_messages,
				      &stats->received_packets, &stats->received_bytes,	   &stats->received_messages,
				      &stats->device_reads,	&stats->device_writes,	   &stats->icmp_sent };

	for (uint32_t i = 0; i < DROPS; i++)
		*targets[i] += atomic_load_explicit(&queue->counters[i], memory_order_relaxed);
	for (uint32_t i = 0; i < DENIM_UDP_DROPS; i++)
		stats->drops[i] += atomic_load_explicit(&queue->counters[DROPS + i], memory_order_relaxed);
	stats->features &= atomic_load(&queue->features);
	if (stats->failed == 0)
		stats->failed = atomic_load(&queue->failed);
}

static struct denim_udp_peer_stats peer_stats(const struct peer *peer)
{
	struct denim_udp_peer_stats stats = {
		.sent_packets = atomic_load(&peer->sent_packets),
		.sent_bytes = atomic_load(&peer->sent_bytes),
		.received_packets = atomic_load(&peer->received_packets),
		.received_bytes = atomic_load(&peer->received_bytes),
		.alone = seconds() < atomic_load(&peer->alone_until),
	};

	if (atomic_load_explicit(&peer->moved, memory_order_acquire) == MOVED) {
		stats.moved_family = peer->moved_to.family;
		memcpy(stats.moved, peer->moved_to.address, sizeof(stats.moved));
	}
	return stats;
}

int32_t denim_udp_stats(struct denim_udp *udp, struct denim_udp_stats *stats, struct denim_udp_peer_stats *peers,
			uint32_t capacity)
{
	const struct peer_table *table = atomic_load(&udp->current);

	memset(stats, 0, sizeof(*stats));
	stats->features = UINT32_MAX;
	for (uint32_t i = 0; i < udp->queue_count; i++)
		add_queue_stats(udp->queues[i], stats);
	stats->sender = udp->sender->kind;
	stats->sender_error = udp->sender_error;
	memcpy(stats->name, udp->name, sizeof(stats->name));
	for (uint32_t i = 0; i < table->count && i < capacity; i++)
		peers[i] = peer_stats(table->peers[i]);
	return (int32_t)table->count;
}

int32_t denim_udp_pipe(const struct denim_udp *udp)
{
	return udp->read_fd;
}

int32_t denim_udp_descriptors(const struct denim_udp *udp, int32_t *out, uint32_t capacity)
{
	for (uint32_t i = 0; i < udp->queue_count; i++) {
		const struct queue *queue = udp->queues[i];
		const int32_t of[] = { queue->tun, queue->v4, queue->v6 };

		for (uint32_t j = 0; j < 3 && 3 * i + j < capacity; j++)
			out[3 * i + j] = of[j];
	}
	return (int32_t)(3 * udp->queue_count);
}

void denim_udp_stop(struct denim_udp *udp, uint32_t keep)
{
	join(udp);
	destroy(udp, true, keep != 0);
}
