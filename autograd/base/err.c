// The last error's line and code, one of each a thread.
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local char last[1024];
static _Thread_local int last_code;

int err_set(int code, const char *format, ...)
{
    // The arguments may be err_last() itself, so the line is made elsewhere first.
    char line[sizeof last];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    snprintf(last, sizeof last, "%s", line);
    return last_code = code;
}

int err_prefix(int code, const char *format, ...)
{
    char prefix[256], line[sizeof last];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%s", last);
    snprintf(last, sizeof last, "%s: %.760s", prefix, line);
    return last_code = code;
}

const char *err_last(void)
{
    return last;
}

int err_code(void)
{
    return last_code;
}

void err_bug(const char *file, int line, const char *condition)
{
    fprintf(stderr, "posgrad: bug: %s:%d: %s\n", file, line, condition);
    abort();
}
