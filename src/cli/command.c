// How a command says that something went wrong: one line on stderr, and its exit code.
#include "command.h"

#include <stdio.h>

#include "../../autograd/base/err.h"

int command_error(const char *line)
{
    fprintf(stderr, "posgrad: %s\n", line ? line : err_last());
    return 1;
}

int command_usage(const char *name, const char *line)
{
    command_error(line);
    fprintf(stderr, "Try 'posgrad%s%s --help'.\n", name && *name ? " " : "", name ? name : "");
    return 2;
}
