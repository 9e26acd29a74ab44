/*
 * Becoming Deno. The program is executed by its name in the directory that was checked, through that directory's descriptor: so
 * it is the one that was checked, and the process is called "flanneld" on every kernel.
 *
 * Deno needs a directory for its caches, must not ask anybody for updates, and must not put a "node" of its own into PATH; all
 * that can be said in the environment only. DENIM_SET names what was put there, and the modules' prelude
 * (tasks/compile_bundle.ts) takes it out again before any child is started. What the caller has set stays.
 */
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* For emulators, which may know no execveat: by the path that the directory has now. */
static void execute_by_path(int directory, char **argv, char **environment)
{
	char link[32], path[PATH_MAX + sizeof(PACK_PROGRAM)];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
	length = readlink(link, path, PATH_MAX - 1);
	if (length <= 0)
		return;
	snprintf(path + length, sizeof(path) - (size_t)length, "/%s", PACK_PROGRAM);
	execve(path, argv, environment);
}

static int execute(int directory, char **argv, char **environment)
{
	syscall(SYS_execveat, directory, PACK_PROGRAM, argv, environment, 0);
	if (errno == ENOSYS)
		execute_by_path(directory, argv, environment);
	return -errno;
}

/* In a child: nothing to read, nothing to show but, where wanted, the dynamic loader's complaints. */
static void be_silent(bool complaints)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0)
		return;
	dup2(nothing, STDIN_FILENO);
	dup2(nothing, STDOUT_FILENO);
	if (!complaints)
		dup2(nothing, STDERR_FILENO);
}

/* *status as waitpid gives it; 0 where nobody gets one, because SIGCHLD is ignored. */
static int wait_for(pid_t child, int *status)
{
	*status = 0;
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return errno == ECHILD ? 0 : -errno;
	return 0;
}

int start_trial(int directory, const struct pack *pack)
{
	char *argv[] = { (char[]){ PACK_PROGRAM }, (char[]){ "--version" }, NULL };
	pid_t child = fork();
	int status, result;

	if (child < 0)
		return -errno;
	if (child == 0) {
		be_silent(true);
		execute(directory, argv, environ);
		_exit(127);
	}
	result = wait_for(child, &status);
	if (result != 0)
		return result;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	complain("start \"%s\": the program does not run on this system; it needs %s", pack->name, pack->needs);
	return -ECANCELED;
}

/* "NAME=" and the value in memory of its own; NULL where there is none left. */
static char *variable(const char *name, const char *value, const char *below)
{
	char *text = NULL;

	return asprintf(&text, "%s=%s%s", name, value, below) < 0 ? NULL : text;
}

/* Whether the text is a variable that only the launcher sets; the caller's may come from another start. */
static bool is_ours(const char *text)
{
	return strncmp(text, "DENIM_SET=", 10) == 0 || strncmp(text, "DENIM_BINARY=", 13) == 0;
}

/* The caller's environment with ours in front. NULL where memory is short. */
static char **compose_environment(const char *path, const char *self_path)
{
	const struct {
		const char *name, *value, *below;
	} wanted[] = {
		{ "DENO_DIR", path, "/cache" },
		{ "DENO_NO_UPDATE_CHECK", "1", "" },
		{ "DENO_DISABLE_NODE_SHIM", "1", "" },
		{ "DENIM_BINARY", self_path, "" },
	};
	enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };
	char set[128] = "DENIM_SET=", **list;
	size_t count = 0, used = 0;

	while (environ[count])
		count++;
	list = calloc(count + WANTED + 2, sizeof(*list));
	if (!list)
		return NULL;
	for (size_t i = 0; i < WANTED; i++) {
		if (!wanted[i].value || (strncmp(wanted[i].name, "DENO_", 5) == 0 && getenv(wanted[i].name)))
			continue;
		list[used] = variable(wanted[i].name, wanted[i].value, wanted[i].below);
		if (!list[used++])
			return NULL;
		strcat(strcat(set, wanted[i].name), ",");
	}
	list[used] = strdup(set);
	if (!list[used++])
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (!is_ours(environ[i]))
			list[used++] = environ[i];
	return list;
}

static char *main_module_of(const char *path)
{
	char *module = NULL;

	return asprintf(&module, "%s/%s", path, PACK_MAIN) < 0 ? NULL : module;
}

/* Deno's words between argv[0] and the caller's. NULL where memory is short. */
static char **compose_arguments(const char *path, char **argv)
{
	/* The small nursery (MB) costs a burst of leases a quarter of its memory less, and no time. */
	static char words[][40] = { "run",	"-A",	    "--quiet",	   "--no-config",     "--no-lock",
				    "--no-npm", "--no-remote", "--no-code-cache", "--v8-flags=--max-semi-space-size=4" };
	static char program[] = PACK_PROGRAM;
	enum { WORDS = sizeof(words) / sizeof(words[0]) };
	char *main_module = main_module_of(path), **list;
	size_t count = 0;

	while (argv[count])
		count++;
	list = calloc(count + WORDS + 3, sizeof(*list));
	if (!list || !main_module)
		return NULL;
	list[0] = count > 0 ? argv[0] : program;
	for (size_t i = 0; i < WORDS; i++)
		list[i + 1] = words[i];
	list[WORDS + 1] = main_module;
	for (size_t i = 1; i < count; i++)
		list[WORDS + 1 + i] = argv[i];
	return list;
}

/* In a child. Returns only where that fails. */
static void read_modules(int directory, const char *path)
{
	static char words[][16] = { PACK_PROGRAM, "cache", "--quiet", "--no-config", "--no-lock", "--no-npm", "--no-remote" };
	enum { WORDS = sizeof(words) / sizeof(words[0]) };
	char *argv[WORDS + 2] = { NULL }, **environment = compose_environment(path, NULL);

	for (size_t i = 0; i < WORDS; i++)
		argv[i] = words[i];
	argv[WORDS] = main_module_of(path);
	if (environment && argv[WORDS])
		execute(directory, argv, environment);
}

void start_warm(int directory, const char *path)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return;
	if (child == 0) {
		be_silent(false);
		read_modules(directory, path);
		_exit(127);
	}
	wait_for(child, &status);
}

int start(int directory, const char *path, const char *self_path, char **argv)
{
	char **environment = compose_environment(path, self_path), **arguments = compose_arguments(path, argv);

	if (!environment || !arguments)
		return -ENOMEM;
	return execute(directory, arguments, environment);
}
