// The last error's line and code, one of each a thread.
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local char last[1024];
static _Thread_local int last_code;

// A line is one line, and harmless on a terminal, whatever names and texts of strangers are in it:
// control characters become '?', and so do those that UTF-8 has beyond ASCII (C2 80 to C2 9F).
void err_plain(char *line)
{
    for (unsigned char *c = (unsigned char *)line; *c; c++) {
        if (c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0)
            c[0] = c[1] = '?';
        if (*c < 0x20 || *c == 0x7F)
            *c = '?';
    }
}

int(err_set)(int code, const char *format, ...)
{
    // The arguments may be err_last() itself, so the line is made elsewhere first.
    char line[sizeof last];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    snprintf(last, sizeof last, "%s", line);
    err_plain(last);
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
    err_plain(last);
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
