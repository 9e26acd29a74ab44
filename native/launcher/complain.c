/* What the launcher says to people: one line. */
#include "launcher.h"

#include <stdarg.h>
#include <stdio.h>

void complain(const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "flanneld: %s\n", text);
}
