/* The whole test framework: a check that names its line, and a list of functions that main runs. */
#ifndef DENIM_TEST_CHECK_H
#define DENIM_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

#define RUN(test)                     \
	do {                          \
		test();               \
		printf("ok %s\n", #test); \
	} while (0)

#endif
