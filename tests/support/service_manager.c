/*
 * What systemd is to one unit with a store for descriptors, for tests: it starts a command, listens to what that tells it,
 * keeps descriptors it is sent, starts it again whenever it ends, and hands the kept ones over (sd_notify(3),
 * sd_listen_fds(3)). A stop closes them.
 *
 *     service_manager SOCKET COMMAND...
 *
 * SIGUSR1 asks the command to end (SIGTERM) and SIGUSR2 kills it: both are restarts. SIGTERM is the stop. What happens is
 * printed, a line each: `notify …`, `stored N NAME`, `removed N NAME`, `ended STATUS`, `started N`.
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 64, FIRST = 3, PARKED = 200 };

static struct {
	int fd;
	char name[256];
} kept[MOST];
static int kept_count;
static pid_t child;
static int stopping;

static void fail(const char *what)
{
	fprintf(stderr, "service_manager: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(path);
	return fd;
}

/* In the child: the kept descriptors become 3 and on, by way of numbers that nobody uses. */
static void hand_over(const char *path)
{
	char number[16], names[MOST * 256] = "";

	for (int i = 0; i < kept_count; i++) {
		if (dup2(kept[i].fd, PARKED + i) < 0)
			fail("park");
		strcat(names, i ? ":" : "");
		strcat(names, kept[i].name);
	}
	for (int i = 0; i < kept_count; i++) {
		if (dup2(PARKED + i, FIRST + i) < 0)
			fail("hand over");
		close(PARKED + i);
	}
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("FDSTORE", "64", 1);
	snprintf(number, sizeof(number), "%d", kept_count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
}

static void start(const char *path, char **command)
{
	sigset_t none;

	child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0) {
		printf("started %d\n", kept_count);
		return;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	hand_over(path);
	execvp(command[0], command);
	fail(command[0]);
}

static void forget(const char *name)
{
	int left = 0;

	for (int i = 0; i < kept_count; i++) {
		if (strcmp(kept[i].name, name) == 0)
			close(kept[i].fd);
		else
			kept[left++] = kept[i];
	}
	if (left < kept_count)
		printf("removed %d %s\n", kept_count - left, name);
	kept_count = left;
}

/* As systemd does: the same open file is not kept twice. */
static int known(int fd)
{
	pid_t self = getpid();

	for (int i = 0; i < kept_count; i++) {
		if (syscall(SYS_kcmp, self, self, KCMP_FILE, kept[i].fd, fd) == 0)
			return 1;
	}
	return 0;
}

static void keep(const int *fds, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (kept_count == MOST || known(fds[i])) {
			close(fds[i]);
			continue;
		}
		kept[kept_count].fd = fds[i];
		snprintf(kept[kept_count++].name, sizeof(kept[0].name), "%s", name);
	}
	printf("stored %d %s\n", count, name);
}

/* The value of a line `NAME=value` of the message, or an empty text. */
static const char *value_of(const char *message, const char *name, char *value, size_t room)
{
	const char *line = message;
	size_t length = strlen(name);

	value[0] = 0;
	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == '=')
			snprintf(value, room, "%.*s", (int)strcspn(line + length + 1, "\n"), line + length + 1);
	}
	return value;
}

static void take_message(int socket)
{
	static char message[4096], name[256], value[256];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MOST * sizeof(int))];
	} control;
	struct iovec part = { message, sizeof(message) - 1 };
	struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *found;
	ssize_t length = recvmsg(socket, &head, MSG_CMSG_CLOEXEC);

	if (length < 0)
		fail("receive");
	message[length] = 0;
	value_of(message, "FDNAME", name, sizeof(name));
	found = CMSG_FIRSTHDR(&head);
	if (value_of(message, "FDSTORE", value, sizeof(value))[0] && found)
		keep((const int *)CMSG_DATA(found), (int)((found->cmsg_len - CMSG_LEN(0)) / sizeof(int)), name);
	else if (value_of(message, "FDSTOREREMOVE", value, sizeof(value))[0])
		forget(name);
	else
		printf("notify %s\n", message);
}

/* False once all is over. */
static int take_signal(int fd, const char *path, char **command)
{
	struct signalfd_siginfo info;
	int status;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		fail("signal");
	if (info.ssi_signo == SIGTERM)
		stopping = 1;
	if (info.ssi_signo != SIGCHLD)
		kill(child, info.ssi_signo == SIGUSR2 ? SIGKILL : SIGTERM);
	if (info.ssi_signo != SIGCHLD || waitpid(child, &status, WNOHANG) != child)
		return 1;
	printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	if (!stopping)
		start(path, command);
	return !stopping;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	sigset_t signals;
	int running = 1;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&signals);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&signals, (const int[]){ SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2 }[i]);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	fds[0].fd = listen_at(argv[1]);
	fds[1].fd = signalfd(-1, &signals, SFD_CLOEXEC);
	start(argv[1], argv + 2);
	while (running) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			fail("poll");
		if (fds[0].revents)
			take_message(fds[0].fd);
		if (fds[1].revents)
			running = take_signal(fds[1].fd, argv[1], argv + 2);
	}
	return 0;
}
