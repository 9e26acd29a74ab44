/*
 * Stands for Deno in tests of the launcher: prints what it was started with, one fact a line, and ends with the code 7. Asked to
 * fill the cache it makes the directory, with a line in it for each time.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_file(const char *what, const char *path)
{
	char text[256] = "";
	FILE *file = fopen(path, "r");

	if (file) {
		if (fgets(text, sizeof(text), file))
			printf("%s %s", what, text);
		fclose(file);
	}
}

static void print_descriptors(void)
{
	DIR *list = opendir("/proc/self/fd");
	struct dirent *entry;

	while (list && (entry = readdir(list)) != NULL)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(list))
			printf("fd %s\n", entry->d_name);
	if (list)
		closedir(list);
}

static int fill_cache(int argc, char **argv)
{
	const char *directory = getenv("DENO_DIR");
	FILE *file;

	mkdir(directory, 0700);
	if (chdir(directory) != 0)
		return 1;
	file = fopen("asked", "a");
	for (int i = 1; file && i < argc; i++)
		fprintf(file, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
	return file && fclose(file) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	char exe[4096] = "";

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return 0;
	if (argc > 1 && strcmp(argv[1], "cache") == 0)
		return fill_cache(argc, argv);
	print_file("comm", "/proc/self/comm");
	printf("umask %04o\n", umask(0));
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0)
		printf("exe %s\n", exe);
	for (int i = 0; i < argc; i++)
		printf("arg %s\n", argv[i]);
	for (char **each = environ; *each; each++)
		printf("env %s\n", *each);
	print_descriptors();
	return 7;
}
